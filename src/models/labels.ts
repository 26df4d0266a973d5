import type { Fault } from './manifest-error.ts';

/** Splits a label file: UTF-8, one label a line; the line break after the last is optional. Pushes what is wrong with it. */
export function parseLabels(bytes: Uint8Array, faults: Fault[]): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    faults.push({
      path: 'labels',
      found: 'bytes that are no UTF-8',
      wanted: 'a text file in UTF-8, one label a line',
    });
    return [];
  }
  const lines = text
    .replace(/\r?\n$/, '')
    .split(/\r?\n/)
    .map((line) => line.trim());
  for (const [index, line] of lines.entries()) {
    if (line === '')
      faults.push({ path: 'labels', found: `nothing in line ${index + 1}`, wanted: 'a label in each line' });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for; PostgreSQL stores no NUL.
    else if (/[\u0000-\u001f]/.test(line)) {
      faults.push({ path: 'labels', found: `a control character in line ${index + 1}`, wanted: 'text' });
    }
  }
  return lines;
}

/**
 * One label a column of the graph. A file may leave out the background's line: the column then gets one of its own, so
 * that `index` in answers is the graph's column either way. Pushes a fault where the counts do not fit.
 */
export function labelColumns(
  labels: readonly string[],
  { columns, background }: { columns: number; background: number | null },
  faults: Fault[],
): string[] {
  if (background !== null && background >= columns) {
    faults.push({
      path: 'output.background',
      found: String(background),
      wanted: `a column below ${columns}, or null`,
    });
  } else if (background !== null && labels.length === columns - 1) {
    return labels.toSpliced(background, 0, 'background');
  } else if (labels.length !== columns) {
    const oneFewer = background === null ? '' : ` or ${columns - 1}, as output.background is left out`;
    faults.push({
      path: 'labels',
      found: `${labels.length} lines`,
      wanted: `${columns}, one a class of the graph${oneFewer}`,
    });
  }
  return [...labels];
}
