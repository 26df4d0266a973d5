import { describe, expect, test } from 'vitest';
import { MAX_STRUCTURE, requireFewValues } from '../../src/graphql/json-structure.ts';
import { BadUserInputError } from '../../src/lib/errors.ts';

const check = (json: string) => () => requireFewValues(Buffer.from(json));
const half = MAX_STRUCTURE / 2;

describe('is let through', () => {
  test.each([
    ['as many values as are allowed', `[${'{},'.repeat(half - 1)}0]`],
    ['structure within a string', JSON.stringify({ text: '{[,:'.repeat(MAX_STRUCTURE) })],
    ['structure behind an escaped quote', JSON.stringify({ text: `a"${'[,'.repeat(MAX_STRUCTURE)}` })],
    ['a string that ends behind two backslashes', `["a\\\\", "${','.repeat(MAX_STRUCTURE)}"]`],
    ['what is no JSON: an unended string', `"${'{'.repeat(MAX_STRUCTURE)}`],
    ['nothing', ''],
  ])('%s', (_what, json) => {
    expect(check(json)).not.toThrow();
  });
});

describe('is refused', () => {
  test.each([
    ['one value more', `[${'{},'.repeat(half)}{}]`],
    ['deep lists', '['.repeat(MAX_STRUCTURE + 1)],
    ['many strings', `[${'"",'.repeat(half + 1)}""]`],
    ['many strings one behind the other', '""'.repeat(MAX_STRUCTURE + 1)],
    ['many names', `{${'"a":0,'.repeat(MAX_STRUCTURE / 3 + 1)}}`],
    ['many escaped quotes', JSON.stringify('"'.repeat(MAX_STRUCTURE + 1))],
    ['structure behind a string that ends with a backslash', `["\\\\"${',0'.repeat(MAX_STRUCTURE)}]`],
  ])('%s', (_what, json) => {
    expect(check(json)).toThrow(BadUserInputError);
  });
});
