import { getIntrospectionQuery } from 'graphql';
import { describe, expect, test } from 'vitest';
import { MAX_NESTING, requireShallow } from '../../src/graphql/nesting.ts';
import { QueryTooComplexError } from '../../src/lib/errors.ts';
import { goodKey, startTransport } from './transport-server.ts';

const deep = (levels: number) => '{a'.repeat(levels) + '}'.repeat(levels);
const tooDeep = deep(MAX_NESTING + 1);

test('as deep as is allowed, and one level more', () => {
  expect(() => requireShallow(deep(MAX_NESTING))).not.toThrow();
  expect(() => requireShallow(tooDeep)).toThrow(QueryTooComplexError);
  expect(() => requireShallow(getIntrospectionQuery())).not.toThrow();
});

test('brackets that closed do not count', () => {
  expect(() => requireShallow(deep(90).repeat(50))).not.toThrow();
});

test.each(['([{'.repeat(40), '[[[ '.repeat(40)])('brackets of any kind count: %s', (document) => {
  expect(() => requireShallow(document)).toThrow(QueryTooComplexError);
});

describe('brackets are not counted within', () => {
  test.each([
    ['text', `{ a(b: "${tooDeep}") }`],
    ['text with escapes', `{ a(b: "\\"${tooDeep}\\\\") }`],
    ['block text', `{ a(b: """ " ${tooDeep} \\""" ${tooDeep} """) }`],
    ['empty text beside it', `{ a(b: "", c: "${tooDeep}") }`],
    ['comments', `{ a # " ${tooDeep}\n b }`],
    ['text without an end', `{ a(b: "${tooDeep}`],
    ['block text without an end', `{ a(b: """${tooDeep}`],
  ])('%s', (_what, document) => {
    expect(() => requireShallow(document)).not.toThrow();
  });
});

describe('and are counted after', () => {
  test.each([
    ['text', `{ a(b: "x") ${tooDeep} }`],
    ['text that ends in an escaped backslash', `{ a(b: "x\\\\") ${tooDeep} }`],
    ['empty text', `{ a(b: "") ${tooDeep} }`],
    ['block text', `{ a(b: """x""") ${tooDeep} }`],
    ['empty block text', `{ a(b: """""") ${tooDeep} }`],
    ['comments', `{ a # x\n ${tooDeep} }`],
    ['comments that end in a carriage return', `{ a # x\r ${tooDeep} }`],
  ])('%s', (_what, document) => {
    expect(() => requireShallow(document)).toThrow(QueryTooComplexError);
  });
});

test('images of many megabytes in a literal are passed over', () => {
  expect(() => requireShallow(`{ a(b: "${'A'.repeat(30_000_000)}") }`)).not.toThrow();
});

test('over HTTP, POST and GET', async () => {
  const { execute, url } = await startTransport();
  const expected = { errors: [{ extensions: { code: 'QUERY_TOO_COMPLEX' } }] };
  const { status, body } = await execute(tooDeep);
  expect(status).toBe(400);
  expect(body).toMatchObject(expected);
  const response = await fetch(`${url}/graphql?${new URLSearchParams({ query: tooDeep })}`, {
    headers: { authorization: goodKey, 'apollo-require-preflight': '1' },
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject(expected);
});
