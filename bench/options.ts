import { parseArgs } from 'node:util';

/** What every bench that drives the service can be told. */
export interface BenchOptions {
  /** A manifest's path; null: MobileNetV2 of the shared data where that is at hand, else the built-in model. */
  readonly manifest: string | null;
  /** A folder of photographs to make the pictures from; null: drawn scenes. */
  readonly pictures: string | null;
  /** Of each measurement. */
  readonly seconds: number;
  /** Of all measurements in turn; medians over them are told. */
  readonly rounds: number;
  readonly json: boolean;
}

export const COMMON_OPTIONS = `  --manifest <file>    the model (MobileNetV2 of the shared data where that is at hand, else the built-in model)
  --pictures <folder>  photographs to make the pictures from (drawn scenes)
  --seconds n          of each measurement
  --rounds n           of all measurements in turn: medians are told
  --json               one line of JSON in the place of the table
`;

/**
 * Reads a bench's options: the common ones, and numbers above 0 of its own, each with its default. null where `--help` was
 * asked for, and printed. Throws where a value is no such number.
 */
export function readOptions<Own extends Record<string, number>>(
  args: readonly string[],
  usage: string,
  defaults: { readonly seconds: number; readonly rounds: number } & Own,
): (BenchOptions & Own) | null {
  const { values }: { values: Record<string, string | boolean | undefined> } = parseArgs({
    args: [...args],
    options: {
      ...Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }])),
      manifest: { type: 'string' },
      pictures: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return null;
  }
  const numbers = Object.entries(defaults).map(([name, preset]) => {
    const text = values[name];
    if (text === undefined) return [name, preset] as const;
    const value = Number(text);
    if (!Number.isFinite(value) || value <= 0)
      throw new Error(`--${name}: found ${text}, wanted a number above 0.`);
    return [name, value] as const;
  });
  return {
    ...(Object.fromEntries(numbers) as typeof defaults),
    manifest: textOf(values.manifest),
    pictures: textOf(values.pictures),
    json: values.json === true,
  };
}

function textOf(value: string | boolean | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
