import { table } from '../src/commands/output.ts';

/** Ends a bench: one line of JSON for a program, or what a person reads. */
export function tell(json: boolean, result: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${text}\n`);
}

/** Columns of numbers, the first of names. */
export function columns(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? figure(cell) : cell)));
  const widths = header.map((title, index) =>
    Math.max(title.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const right = (text: string, index: number) => (index === 0 ? text : text.padStart(widths[index]!));
  return table(
    header.map(right),
    cells.map((row) => row.map(right)),
  );
}

/** Three digits that count, or all of a whole number's. */
export function figure(value: number): string {
  if (Number.isNaN(value)) return '–';
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** What became of requests, the most frequent first. */
export function outcomesText(outcomes: Readonly<Record<string, number>>): string {
  return Object.entries(outcomes)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
