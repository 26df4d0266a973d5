import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectBooked, nothing } from '../support/booked.ts';
import type { GraphqlAnswer, GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
/** For everything that is refused: nothing is ever booked on it. */
let client: GraphqlClient;
beforeAll(async () => {
  server = await startServer();
  ({ client } = await server.createTenant());
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

/** Sees that a request was refused as `code`, that its message says all of `parts`, and that nothing of it was run. */
async function expectRefused(
  { data, errors }: GraphqlAnswer<unknown>,
  code: string,
  parts: readonly string[],
): Promise<void> {
  expect(data).toBeNull();
  expect(new Set(errors.map(({ extensions }) => extensions.code))).toEqual(new Set([code]));
  for (const part of parts) expect(errors[0]!.message).toContain(part);
  expect(await server.metric('fovea_images_admitted')).toBe(0);
  await expectBooked(server, client, nothing);
}

describe('BAD_USER_INPUT names the field and the limit, and nothing is run', () => {
  it.each<[name: string, input: Record<string, unknown>, parts: string[]]>([
    ['33 images', { images: Array(33).fill(image) }, ['images', '1 to 32', '33']],
    ['no images', { images: [] }, ['images', '1 to 32', '0']],
    ['topK 0', { topK: 0 }, ['input.topK', 'at least 1', '0']],
    ['topK -1', { topK: -1 }, ['input.topK', 'at least 1', '-1']],
    ['minScore 2', { minScore: 2 }, ['input.minScore', '0 to 1', '2']],
    ['minScore -0.1', { minScore: -0.1 }, ['input.minScore', '0 to 1', '-0.1']],
    ['timeoutMs 0', { timeoutMs: 0 }, ['input.timeoutMs', '1 to 120000', '0']],
    ['timeoutMs 120001', { timeoutMs: 120_001 }, ['input.timeoutMs', '1 to 120000', '120001']],
    ['an empty idempotencyKey', { idempotencyKey: '' }, ['input.idempotencyKey', '1 to 255 characters']],
    ['a long idempotencyKey', { idempotencyKey: 'k'.repeat(256) }, ['input.idempotencyKey', '1 to 255']],
    [
      'a loss above 1',
      { compression: 'AUTO', auto: { maxAccuracyLoss: 1.5 } },
      ['input.auto.maxAccuracyLoss', '0 to 1', '1.5'],
    ],
    [
      'a latency below 0',
      { compression: 'AUTO', auto: { maxLatencyMs: -1 } },
      ['input.auto.maxLatencyMs', '0 to 120000', '-1'],
    ],
    ['two members in an ImageInput', { images: [{ ...image, url: 'https://a.test/' }] }, ['input.images[0]']],
    ['no member in an ImageInput', { images: [image, {}] }, ['input.images[1]']],
    ['a null member in an ImageInput', { images: { base64: null } }, ['input.images', 'base64', 'non-null']],
    ['a member that is not there', { images: { path: '/etc/passwd' } }, ['input.images', 'path']],
    ['a URL that is none', { images: { url: '/cat.jpg' } }, ['input.images.url', 'absolute URL', '/cat']],
    ['a null image', { images: [null] }, ['input.images[0]']],
    ['a compression that is not there', { compression: 'ZIP' }, ['input.compression', 'ZIP']],
    ['a topK beyond 32 bits', { topK: 2 ** 31 }, ['input.topK', '2147483648']],
    ['a topK that is no number', { topK: 'five' }, ['input.topK', 'five']],
  ])('%s', async (_name, input, parts) => {
    await expectRefused(await client.classify({ images: image, ...input }), 'BAD_USER_INPUT', parts);
  });

  it.each<[name: string, input: string, code: string, parts: string[]]>([
    ['topK 0', 'images: [$image], topK: 0', 'BAD_USER_INPUT', ['input.topK', 'at least 1']],
    ['no images', 'images: []', 'BAD_USER_INPUT', ['images', '1 to 32']],
    [
      'two members in an ImageInput',
      'images: { base64: "", url: "https://a.test/" }',
      'GRAPHQL_VALIDATION_FAILED',
      ['"ImageInput"', 'exactly one'],
    ],
    ['no member in an ImageInput', 'images: {}', 'GRAPHQL_VALIDATION_FAILED', ['"ImageInput"']],
  ])('%s in a literal', async (_name, input, code, parts) => {
    const variables = input.includes('$image') ? '($image: ImageInput!)' : '';
    const document = `mutation${variables} { classify(input: { model: "shapes", ${input} }) { receipt { units } } }`;
    await expectRefused(await client.send(document, { image }), code, parts);
  });

  it('a message quotes a picture of megabytes in part alone', async () => {
    const images = [{ base64: 'A'.repeat(2_000_000), url: 'https://a.test/' }];
    const answer = await client.classify({ images });
    expect(answer.errors[0]!.message.length).toBeLessThan(2_000);
    await expectRefused(answer, 'BAD_USER_INPUT', ['input.images[0]', 'AAA', 'Exactly one key']);
  });

  it('the limits themselves are accepted', async () => {
    const { client } = await server.createTenant();
    const { errors, data } = await client.classify({
      images: Array(32).fill(image),
      topK: 2 ** 31 - 1,
      minScore: 1,
      timeoutMs: 120_000,
      idempotencyKey: 'k'.repeat(255),
    });
    expect(errors).toEqual([]);
    expect(data!.classify.receipt).toMatchObject({ images: 32, units: 32 });
    await expectBooked(server, client, { requests: 1, images: 32, units: 32, errors: 0 });
  });
});
