import { describe, expect, test } from 'vitest';
import { startTransport } from './transport-server.ts';

const repeat = (count: number, write: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => write(i)).join(' ');
const nest = (levels: number, open: string, close: string, inner: string) =>
  open.repeat(levels) + inner + close.repeat(levels);

const documents: [what: string, query: string, code: RegExp][] = [
  ['10,000 aliases', `{ ${repeat(10_000, (i) => `a${i}: viewer { principal }`)} }`, /GRAPHQL_PARSE_FAILED/],
  ['1,500 aliases', `{ ${repeat(1500, (i) => `a${i}: viewer { principal }`)} }`, /QUERY_TOO_COMPLEX/],
  [
    'aliases of introspection',
    `{ ${repeat(500, (i) => `a${i}: __schema { types { name fields { name } } }`)} }`,
    /QUERY_TOO_COMPLEX/,
  ],
  [
    'aliases of a field with a price',
    `{ ${repeat(90, (i) => `a${i}: models { totalCount }`)} }`,
    /QUERY_TOO_COMPLEX/,
  ],
  [
    'one field 9,000 times',
    `{ ${'__typename '.repeat(9000)} }`,
    /GRAPHQL_VALIDATION_FAILED|QUERY_TOO_COMPLEX/,
  ],
  [
    'a fragment that spreads itself',
    '{ ...f } fragment f on Query { viewer { principal } ...f }',
    /GRAPHQL_VALIDATION_FAILED/,
  ],
  [
    'fragments in a circle',
    '{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }',
    /GRAPHQL_VALIDATION_FAILED/,
  ],
  ['fields nested 3,000 deep', nest(3000, '{ q ', '}', '{ x }'), /QUERY_TOO_COMPLEX/],
  [
    'introspection nested 2,000 deep',
    `{ __type(name: "Int") ${nest(2000, '{ ofType ', '}', '{ name }')} }`,
    /QUERY_TOO_COMPLEX/,
  ],
  [
    'introspection of fields of types of fields',
    `{ __schema { types ${nest(6, '{ fields { type ', '} }', '{ name }')} } }`,
    /GRAPHQL_VALIDATION_FAILED/,
  ],
  [
    'inline fragments nested 3,000 deep',
    `{ ${nest(3000, '... { ', '}', '__typename')} }`,
    /QUERY_TOO_COMPLEX/,
  ],
  [
    'a list nested 4,000 deep',
    `{ models(after: ${nest(4000, '[', ']', '1')}) { totalCount } }`,
    /QUERY_TOO_COMPLEX/,
  ],
  ['1,000 directives', `{ __typename ${'@include(if: true) '.repeat(1000)} }`, /GRAPHQL_VALIDATION_FAILED/],
  ['1,000 unknown fields', `{ ${repeat(1000, (i) => `no${i}`)} }`, /GRAPHQL_VALIDATION_FAILED/],
  [
    '2,000 variables',
    `query (${repeat(1900, (i) => `$v${i}: Int`)}) { __typename }`,
    /GRAPHQL_VALIDATION_FAILED/,
  ],
];

describe.each(documents)('%s', (_what, query, code) => {
  test('is refused with a code of its own, soon, and the server goes on', async () => {
    const { execute } = await startTransport();
    const { status, body } = await execute(query);
    expect(status).toBe(400);
    expect(body.data).toBeUndefined();
    for (const { extensions } of body.errors!) expect(extensions.code).toMatch(code);
    expect(JSON.stringify(body).length).toBeLessThan(100_000);
    expect((await execute('{ viewer { principal } }')).status).toBe(200);
  }, 10_000);
});

test('a chain of 1,200 fragments is long and harmless', async () => {
  const { execute } = await startTransport();
  const chain = repeat(1200, (i) => `fragment f${i} on Query { ...f${i + 1} }`);
  const { body } = await execute(`{ ...f0 } ${chain} fragment f1200 on Query { __typename }`);
  expect(body.data).toEqual({ __typename: 'Query' });
});

test('variables nested 90,000 deep do not end the server', async () => {
  const { post } = await startTransport();
  const deep = nest(90_000, '[', ']', '1');
  const { status, body } = await post(
    `{"query":"query ($i: ClassifyInput!) { __typename }","variables":{"i":{"model":"m","images":${deep}}}}`,
  );
  expect(status).toBe(400);
  expect(body.errors).toHaveLength(1);
  expect((await post('{"query":"{ viewer { principal } }"}')).status).toBe(200);
});

test('one mistake in many images is told a bounded number of times', async () => {
  const { execute } = await startTransport();
  const images = Array.from({ length: 5000 }, () => ({ base64: 1 }));
  const { status, body } = await execute(
    'mutation ($i: ClassifyInput!) { classify(input: $i) { receipt { units } } }',
    { i: { model: 'm', images } },
  );
  expect(status).toBe(400);
  expect(body.errors!.length).toBeLessThan(60);
  expect(body.errors![0]!.extensions.code).toBe('BAD_USER_INPUT');
});
