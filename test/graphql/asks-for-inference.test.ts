import { expect, test } from 'vitest';
import { asksForInference } from '../../src/graphql/asks-for-inference.ts';

const json = (body: object) => [Buffer.from(JSON.stringify(body))];
const picture = 'a'.repeat(100_000);
const images = [{ base64: picture }];

test('finds the document before the pictures or behind them', () => {
  const query =
    'mutation($images: [ImageInput!]!) { classify(input: { images: $images }) { receipt { units } } }';
  expect(asksForInference(json({ query, variables: { images } }))).toBe(true);
  expect(asksForInference(json({ variables: { images }, query }))).toBe(true);
  expect(asksForInference(json({ query: 'mutation { detect (input: {}) { receipt { units } } }' }))).toBe(
    true,
  );
  expect(asksForInference(json({ query: 'mutation { a: segment(input: {}) { receipt { units } } }' }))).toBe(
    true,
  );
  expect(
    asksForInference(json({ query: 'mutation {\n\tclassify(input: {}) { receipt { units } }\n}' })),
  ).toBe(true);
  expect(
    asksForInference(json({ query: 'mutation {\nclassify\n(input: {}) { receipt { units } }\n}' })),
  ).toBe(true);
});

test('takes nothing else for it', () => {
  expect(asksForInference(json({ query: '{ quota { used } }' }))).toBe(false);
  expect(asksForInference(json({ query: 'mutation { createUpload(input: {}) { id } }' }))).toBe(false);
  expect(
    asksForInference(json({ query: '{ models { nodes { classify segments } } }', variables: { images } })),
  ).toBe(false);
  expect(asksForInference([])).toBe(false);
});

test('finds it in whichever pieces it came', () => {
  const query =
    'mutation($images: [ImageInput!]!) { classify(input: { images: $images }) { receipt { units } } }';
  for (const body of [
    { query, variables: { images } },
    { variables: { images }, query },
  ]) {
    const [whole] = json(body);
    for (const size of [7, 1_000, 8_191, 65_536]) {
      const pieces = Array.from({ length: Math.ceil(whole!.length / size) }, (_, index) =>
        whole!.subarray(index * size, (index + 1) * size),
      );
      expect(asksForInference(pieces)).toBe(true);
    }
  }
});
