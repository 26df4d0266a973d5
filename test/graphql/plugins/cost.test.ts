import { buildASTSchema, parse, validate } from 'graphql';
import { describe, expect, test } from 'vitest';
import { operationCost } from '../../../src/graphql/plugins/cost.ts';
import { readTypeDefinitions } from '../../../src/graphql/type-definitions.ts';
import { BadUserInputError, QueryTooComplexError } from '../../../src/lib/errors.ts';

const schema = buildASTSchema(readTypeDefinitions());

/** The cost of the first operation of a document that is valid, as every document is that gets that far. */
function costOf(source: string, variables: Record<string, unknown> = {}): number {
  const document = parse(source);
  expect(validate(schema, document).map(({ message }) => message)).toEqual([]);
  const operation = document.definitions.find((definition) => definition.kind === 'OperationDefinition')!;
  return operationCost(schema, document, operation, variables);
}

const images = (count: number) => Array.from({ length: count }, () => ({ base64: 'AA==' }));
const input = (count: number) => ({ model: 'm', images: images(count) });
const classify = 'classify(input: $i) { receipt { units } }';
const fromVariable = (body: string) => `mutation ($i: ClassifyInput!) { ${body} }`;
const key = '{ apiKey { id } }';

const documents: [what: string, source: string, variables: Record<string, unknown>, cost: number][] = [
  ['an operation', '{ viewer { principal } }', {}, 1],
  [
    'fields without a price, aliased or not',
    '{ viewer { principal } a: viewer { principal } quota { used } }',
    {},
    1,
  ],
  ['introspection', '{ __schema { types { name fields { name } } } __typename }', {}, 1],
  ['a list by the default of first', '{ models { totalCount } }', {}, 21],
  ['a list by first', '{ models(first: 7) { totalCount } }', {}, 8],
  ['a list by first in a variable', 'query ($n: Int!) { models(first: $n) { totalCount } }', { n: 9 }, 10],
  [
    'a list by the default of a variable',
    'query ($n: Int! = 11) { models(first: $n) { totalCount } }',
    {},
    12,
  ],
  ['the greatest page', '{ models(first: 100) { totalCount } }', {}, 101],
  ['two lists', '{ models(first: 3) { totalCount } apiKeys(first: 4) { totalCount } }', {}, 8],
  ['every alias', '{ a: models(first: 3) { totalCount } b: models(first: 3) { totalCount } }', {}, 7],
  [
    'fields that merge once',
    '{ models(first: 3) { totalCount } models(first: 3) { edges { cursor } } }',
    {},
    4,
  ],
  [
    'one image that stands for a list',
    'mutation { classify(input: { model: "m", images: { base64: "" } }) { receipt { units } } }',
    {},
    2,
  ],
  [
    'images in a literal',
    'mutation { classify(input: { model: "m", images: [{ base64: "" }, { base64: "" }] }) { receipt { units } } }',
    {},
    3,
  ],
  ['images in a variable', fromVariable(classify), { i: input(5) }, 6],
  ['the most images', fromVariable(classify), { i: input(32) }, 33],
  [
    'images in a variable of their own',
    'mutation ($x: [ImageInput!]!) { classify(input: { model: "m", images: $x }) { receipt { units } } }',
    { x: images(4) },
    5,
  ],
  [
    'images to detect in as those to classify',
    'mutation ($i: DetectInput!) { detect(input: $i) { receipt { units } } }',
    { i: input(5) },
    6,
  ],
  [
    'images to segment as those to classify',
    'mutation ($i: SegmentInput!) { segment(input: $i) { receipt { units } } }',
    { i: input(5) },
    6,
  ],
  ['aliases of inference', fromVariable(`a: ${classify} b: ${classify} c: ${classify}`), { i: input(2) }, 7],
  [
    'a skipped field nothing',
    fromVariable(
      `${classify} a: createApiKey(input: { name: "x" }) ${key} b: classify(input: $i) @skip(if: true) { receipt { units } }`,
    ),
    { i: input(2) },
    3,
  ],
  [
    'a field not included nothing',
    'query ($on: Boolean!) { models @include(if: $on) { totalCount } viewer { principal } }',
    { on: false },
    1,
  ],
  [
    'an included field',
    'query ($on: Boolean!) { models @include(if: $on) { totalCount } viewer { principal } }',
    { on: true },
    21,
  ],
  [
    'a fragment where it is spread',
    '{ ...f } fragment f on Query { models(first: 5) { totalCount } }',
    {},
    6,
  ],
  [
    'a fragment spread twice once',
    '{ ...f ...f } fragment f on Query { models(first: 5) { totalCount } }',
    {},
    6,
  ],
  [
    'a fragment within fragments',
    '{ ...f } fragment f on Query { ...g } fragment g on Query { models(first: 5) { totalCount } }',
    {},
    6,
  ],
  [
    'a skipped fragment nothing',
    '{ viewer { principal } ...f @skip(if: true) } fragment f on Query { models(first: 5) { totalCount } }',
    {},
    1,
  ],
  [
    'an inline fragment',
    '{ ... on Query { models(first: 5) { totalCount } } ... @include(if: false) { apiKeys { totalCount } } }',
    {},
    6,
  ],
  [
    'a field and the same in a fragment once',
    '{ models(first: 5) { totalCount } ...f } fragment f on Query { models(first: 5) { edges { cursor } } }',
    {},
    6,
  ],
  [
    'fields below a list at no more',
    '{ models(first: 5) { edges { node { variants { report { dataset } } } } } }',
    {},
    6,
  ],
  [
    'the first of two operations alone',
    'query a { models(first: 2) { totalCount } } query b { models(first: 50) { totalCount } }',
    {},
    3,
  ],
  ['variables that do not fit', 'query ($n: Int!) { models(first: $n) { totalCount } }', { n: 'many' }, 1],
];

test.each(documents)('charges %s', (_what, source, variables, cost) => {
  expect(costOf(source, variables)).toBe(cost);
});

describe('prices below the root', () => {
  const nested = buildASTSchema(
    parse(`
      type Query { album(first: Int! = 10): Album! node: Thing }
      type Album implements Thing { name: String, photos(first: Int): [Album!]! }
      interface Thing { name: String }`),
  );
  const cost = (source: string) => {
    const document = parse(source);
    const operation = document.definitions[0];
    if (operation?.kind !== 'OperationDefinition') throw new Error('The operation must come first');
    return operationCost(nested, document, operation, {});
  };

  test.each([
    ['{ album { photos(first: 4) { name } } }', 15],
    ['{ album { a: photos(first: 4) { name } b: photos(first: 5) { photos(first: 6) { name } } } }', 26],
    ['{ album { photos(first: 4) { name } } album { photos(first: 4) { x: name } } }', 15],
    ['{ album { photos { name } } }', 11],
    ['{ node { ... on Album { photos(first: 2) { name } } } }', 3],
    ['{ a: album { ...p } b: album { ...p } } fragment p on Album { photos(first: 3) { name } }', 27],
  ])('%s costs %i', (source, expected) => {
    expect(cost(source)).toBe(expected);
  });
});

describe('out of range', () => {
  test.each([
    ['{ models(first: 0) { totalCount } }', {}, 'models: first must be 1 to 100, but is 0'],
    ['{ models(first: 101) { totalCount } }', {}, 'models: first must be 1 to 100, but is 101'],
    ['{ apiKeys(first: -3) { totalCount } }', {}, 'apiKeys: first must be 1 to 100, but is -3'],
    [fromVariable(classify), { i: input(0) }, 'classify: the number of images must be 1 to 32, but is 0'],
    [fromVariable(classify), { i: input(33) }, 'classify: the number of images must be 1 to 32, but is 33'],
    // Allowed by the variable's type and not by the argument's: known only with the value.
    ['query ($n: Int = 5) { models(first: $n) { totalCount } }', { n: null }, 'models: Argument "first"'],
  ])('%s is refused', (source, variables, message) => {
    expect(() => costOf(source, variables)).toThrow(BadUserInputError);
    expect(() => costOf(source, variables)).toThrow(message);
  });
});

describe('bounds on what has no price', () => {
  const period = 'from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z"';
  const repeat = (count: number, write: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => write(i)).join(' ');

  test('as many repeats as are allowed', () => {
    expect(costOf(`{ viewer { principal ${repeat(100, (i) => `a${i}: principal`)} } }`)).toBe(1);
  });
  test('one more', () => {
    expect(() => costOf(`{ viewer { principal ${repeat(101, (i) => `a${i}: principal`)} } }`)).toThrow(
      QueryTooComplexError,
    );
  });
  test('repeats multiply down the document', () => {
    const tenfold = (field: string, below: string) => repeat(10, (i) => `a${i}: ${field} ${below}`);
    const labels = `{ ${tenfold('labels', '')} }`;
    expect(() => costOf(`{ models { edges { ${tenfold('node', labels)} } } }`)).not.toThrow();
    expect(() => costOf(`{ models { ${tenfold('edges', `{ ${tenfold('node', labels)} }`)} } }`)).toThrow(
      QueryTooComplexError,
    );
  });
  test('repeats of a field with a price are paid for instead', () => {
    expect(costOf(`{ ${repeat(200, (i) => `a${i}: models(first: 1) { totalCount }`)} }`)).toBe(201);
  });
  test.each([
    ['hourly usage', (i: number) => `a${i}: usage(${period}, bucket: HOUR) { units }`],
    ['an invoice', (i: number) => `a${i}: invoicePreview { totalCents }`],
    ['a thing by its id', (i: number) => `a${i}: node(id: "x") { id }`],
  ])('%s may be asked for ten times more than the operation costs', (_what, write) => {
    expect(costOf(`{ ${repeat(11, write)} }`)).toBe(1);
    expect(() => costOf(`{ ${repeat(12, write)} }`)).toThrow(QueryTooComplexError);
    expect(costOf(`{ models(first: 20) { totalCount } ${repeat(31, write)} }`)).toBe(21);
    expect(() => costOf(`{ models(first: 20) { totalCount } ${repeat(32, write)} }`)).toThrow(
      QueryTooComplexError,
    );
  });
  test('so may mutations, in fragments or not', () => {
    const create = (i: number) => `a${i}: createApiKey(input: { name: "x" }) ${key}`;
    expect(costOf(`mutation { ${repeat(11, create)} }`)).toBe(1);
    expect(() => costOf(`mutation { ${repeat(12, create)} }`)).toThrow(QueryTooComplexError);
    expect(() =>
      costOf(
        `mutation { ...f ... on Mutation { signOut } } fragment f on Mutation { ${repeat(11, create)} }`,
      ),
    ).toThrow(/asks for 12 results/);
  });
  test('what is loaded for each entry of a list counts as often', () => {
    const list = (first: number, node: string) => `{ apiKeys(first: ${first}) { edges { ${node} } } }`;
    const usage = `usage(${period}) { units }`;
    expect(costOf(list(100, `node { ${usage} }`))).toBe(101);
    expect(costOf(list(11, `node { ${usage} a: ${usage} }`))).toBe(12);
    for (const twice of [`node { ${usage} a: ${usage} }`, `node { ${usage} } a: node { ${usage} }`])
      expect(() => costOf(list(12, twice))).toThrow('asks for 24 results');
    expect(() => costOf(list(62, `node { ${repeat(101, (i) => `a${i}: ${usage}`)} }`))).toThrow(
      'asks for 6262 results',
    );
  });
  describe('below the results of inference', () => {
    const detect = (objects: string) => `mutation ($i: DetectInput!) {
      detect(input: $i) { results { ... on Detection { objects { ${objects} } } } }
    }`;
    const segment = (results: string, fragment = '') =>
      `mutation ($i: SegmentInput!) { segment(input: $i) { ${results} } } ${fragment}`;
    const segments = (fields: string) => `results { ... on Segmentation { segments { ${fields} } } }`;
    const shares = 'shares: box(space: NORMALIZED) { x }';

    test.each([
      ['a box in each space', detect(`box { x } ${shares}`)],
      ['what merges', detect('box { x } box { y } ... on DetectedObject { box { x } }')],
      ['a mask in both forms', segment(segments('rle png'))],
      [
        'one name in two types',
        segment('results { ... on ImageError { __typename } ... on Segmentation { __typename } }'),
      ],
    ])('%s is asked for', (_what, source) => {
      expect(costOf(source, { i: input(32) })).toBe(33);
    });
    test.each([
      ['a third box', detect(`box { x } ${shares} third: box { x }`), 'asks 3 times for box'],
      ['a run-length encoding twice', segment(segments('rle again: rle')), 'asks 2 times for rle'],
      ['a drawing twice', segment(segments('png again: png')), 'asks 2 times for png'],
      ['a type name twice', segment(segments('__typename again: __typename')), 'asks 2 times for __typename'],
      [
        'segments twice',
        segment('results { ... on Segmentation { segments { rle } again: segments { rle } } }'),
        'asks 2 times for segments',
      ],
      ['results twice', segment(`${segments('rle')} again: ${segments('rle')}`), 'asks 2 times for results'],
      [
        'the same in fragments',
        segment(segments('rle ...f'), 'fragment f on Segment { label ... on Segment { again: rle } }'),
        'asks 2 times for rle',
      ],
    ])('%s is refused, for one image as for many', (_what, source, message) => {
      for (const count of [1, 32]) {
        expect(() => costOf(source, { i: input(count) })).toThrow(QueryTooComplexError);
        expect(() => costOf(source, { i: input(count) })).toThrow(message);
      }
    });
    test('a second inference, which is paid for, is told in full as well', () => {
      const one = `segment(input: $i) { ${segments('rle png')} }`;
      expect(costOf(`mutation ($i: SegmentInput!) { ${one} again: ${one} }`, { i: input(3) })).toBe(7);
    });
  });
  test('introspection is repeated less', () => {
    const times = (count: number) => `{ ${repeat(count, (i) => `a${i}: __schema { types { name } }`)} }`;
    expect(costOf(times(5))).toBe(1);
    expect(() => costOf(times(6))).toThrow(QueryTooComplexError);
  });
  test('depth', () => {
    const deep = buildASTSchema(parse('type Query { q: Query, leaf: Int }'));
    const cost = (depth: number) => {
      const document = parse(`${'{ q '.repeat(depth - 1)} { leaf } ${'}'.repeat(depth - 1)}`);
      const operation = document.definitions[0];
      if (operation?.kind !== 'OperationDefinition') throw new Error('not an operation');
      return operationCost(deep, document, operation, {});
    };
    expect(cost(12)).toBe(1);
    expect(() => cost(13)).toThrow(QueryTooComplexError);
  });
  test('fragments that unfold into a billion fields are given up on at once', () => {
    const wide = buildASTSchema(parse('type Query { q: Query, leaf: Int }'));
    const levels = Array.from(
      { length: 10 },
      (_, i) => `fragment f${i} on Query { ${repeat(8, (n) => `a${n}: q { ...f${i + 1} }`)} }`,
    );
    const document = parse(`{ ...f0 } ${levels.join(' ')} fragment f10 on Query { leaf }`);
    const operation = document.definitions[0];
    if (operation?.kind !== 'OperationDefinition') throw new Error('not an operation');
    expect(() => operationCost(wide, document, operation, {})).toThrow(QueryTooComplexError);
  });
});
