/** A message of protocol buffers' text format, each field's values in a list; numbers and names of enums stay text. */
export interface TextMessage {
  readonly [field: string]: readonly (string | TextMessage)[];
}

/** Reads what `config.pbtxt` files are written in, as far as its specification goes there. Throws on anything else. */
export function parsePbtxt(text: string): TextMessage {
  const tokens = [
    ...text.matchAll(/\s*(?:(?<string>"(?:[^"\\]|\\.)*")|(?<word>[\w.+-]+)|(?<mark>[{}[\]:,]))/gy),
  ];
  if (tokens.map(([token]) => token).join('').length !== text.trimEnd().length)
    throw new Error(`not in text format: ${text}`);
  let at = 0;
  const peek = () => tokens[at]?.groups ?? {};
  const take = (mark: string) => {
    if (peek().mark !== mark) return false;
    at += 1;
    return true;
  };
  const value = (): string | TextMessage => {
    if (take('{')) return message('}');
    const { string, word } = peek();
    at += 1;
    if (string !== undefined) return JSON.parse(string);
    if (word === undefined) throw new Error(`expected a value at token ${at} of ${text}`);
    return word;
  };
  const message = (end: string | null): TextMessage => {
    const fields: Record<string, (string | TextMessage)[]> = {};
    while (end === null ? at < tokens.length : !take(end)) {
      const name = peek().word;
      if (name === undefined) throw new Error(`expected a field's name at token ${at} of ${text}`);
      at += 1;
      const isScalar = take(':');
      fields[name] ??= [];
      if (!isScalar && peek().mark !== '{') throw new Error(`expected ':' or '{' after ${name}`);
      if (!take('[')) fields[name].push(value());
      else
        while (!take(']')) {
          fields[name].push(value());
          take(',');
        }
    }
    return fields;
  };
  return message(null);
}
