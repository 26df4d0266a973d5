import { z } from 'zod';

/** A setting: how it is read, what is wanted in words, and whether its value may be shown in a message or a log. */
export interface Setting<Value> {
  readonly schema: z.ZodType<Value, string>;
  readonly wanted: string;
  readonly secret?: true;
}

/** What settings of `Settings` read; undefined where a variable is not set. */
export type ValuesOf<Settings extends Record<string, Setting<unknown>>> = {
  [Name in keyof Settings]: z.output<Settings[Name]['schema']> | undefined;
};

export const setting = <Value>(schema: z.ZodType<Value, string>, wanted: string): Setting<Value> => ({
  schema,
  wanted,
});

export const secret = <Value>(schema: z.ZodType<Value, string>, wanted: string): Setting<Value> => ({
  schema,
  wanted,
  secret: true,
});

export const integer = (low: number, high: number) =>
  z
    .string()
    .regex(/^\d+$/)
    .transform(Number)
    .refine((value) => value >= low && value <= high);

export const httpUrl = (value: string) => /^https?:$/.test(URL.parse(value)?.protocol ?? '');
