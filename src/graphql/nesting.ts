import { QueryTooComplexError } from '../lib/errors.ts';

/** Far above what any document needs (the standard introspection query: 16), far below what a stack holds. */
export const MAX_NESTING = 100;

/**
 * Refuses a document whose brackets nest too deep, before it is parsed: parser and validation recurse once a level, and some
 * thousand levels overflow the stack, wherever it happens to be. Throws QueryTooComplexError.
 */
export function requireShallow(document: string): void {
  let depth = 0;
  for (let at = 0; at < document.length; at += 1) {
    switch (document[at]) {
      case '{':
      case '[':
      case '(':
        depth += 1;
        if (depth > MAX_NESTING) {
          throw new QueryTooComplexError(`The document nests brackets deeper than ${MAX_NESTING}.`);
        }
        break;
      case '}':
      case ']':
      case ')':
        depth -= 1;
        break;
      case '"':
        at = endOfText(document, at);
        break;
      case '#':
        at = endOfLine(document, at);
        break;
    }
  }
}

/** Where the text that begins at `start` ends. Skipped by searching: it may be an image of many megabytes. */
function endOfText(document: string, start: number): number {
  const quote = document.startsWith('"""', start) ? '"""' : '"';
  let end = document.indexOf(quote, start + quote.length);
  while (end !== -1 && isEscaped(document, end, quote)) end = document.indexOf(quote, end + 1);
  // Without an end the parser stops here as well.
  return end === -1 ? document.length : end + quote.length - 1;
}

/** Behind an odd number of backslashes; in block text, where only its own end can be escaped, behind any. */
function isEscaped(document: string, at: number, quote: string): boolean {
  if (quote === '"""') return document[at - 1] === '\\';
  let backslashes = 0;
  while (document[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

function endOfLine(document: string, start: number): number {
  for (let at = start; at < document.length; at += 1) {
    if (document[at] === '\n' || document[at] === '\r') return at;
  }
  return document.length;
}
