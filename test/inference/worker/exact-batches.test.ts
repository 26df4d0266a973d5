import { describe, expect, it } from 'vitest';
import type { OipClient } from '../../../src/inference/oip/client.ts';
import { columnsModel, meanModel } from '../../support/onnx-fixture.ts';
import { http, startWorker } from './in-process-worker.ts';

const SIZE = 32;
const BYTES = SIZE * SIZE * 3;
const IMAGES = 8;
const pixels = Uint8Array.from({ length: IMAGES * BYTES }, (_, at) => (at * 2_654_435_761) >>> 24);

/** The first output's bytes, an image each, of the images from `from` on as one batch. */
async function answers(client: OipClient, from: number, count: number): Promise<Buffer[]> {
  const data = pixels.subarray(from * BYTES, (from + count) * BYTES);
  const input = { name: 'images', datatype: 'UINT8', shape: [count, SIZE, SIZE, 3], data } as const;
  const [output] = (await client.infer('model', [input])).outputs;
  expect(output!.shape[0]).toBe(count);
  const bytes = output!.data.byteLength / count;
  return Array.from({ length: count }, (_, image) =>
    Buffer.from(output!.data.subarray(image * bytes, (image + 1) * bytes)),
  );
}

async function alone(client: OipClient): Promise<Buffer[]> {
  const each: Buffer[] = [];
  for (let image = 0; image < IMAGES; image++) each.push(...(await answers(client, image, 1)));
  return each;
}

describe('a graph that the engine adds up in another order for a batch', () => {
  async function load(parameters: Record<string, boolean>) {
    const { client, artifacts } = await startWorker();
    const sha256 = artifacts.put(columnsModel(SIZE));
    await client.load('model', { sha256, warmup_batch: IMAGES, ...parameters });
    return client;
  }

  it('is run as it is unless more is asked for', async () => {
    const client = await load({});
    const [wanted, found] = [await alone(client), await answers(client, 0, IMAGES)];
    expect(found).not.toEqual(wanted);
    // The same numbers but for rounding: they are not mixed up.
    for (const [image, bytes] of found.entries()) {
      const numbers = (of: Buffer) => new Float32Array(new Uint8Array(of).buffer);
      const expected = numbers(wanted[image]!);
      for (const [at, value] of numbers(bytes).entries())
        expect(Math.abs(value - expected[at]!)).toBeLessThan(1e-4);
    }
  });

  it('answers to each image as to it alone where exact batches are asked for', async () => {
    const client = await load({ exact_batches: true });
    const wanted = await alone(client);
    for (let count = 2; count <= IMAGES; count++)
      for (let from = 0; from + count <= IMAGES; from++)
        expect(await answers(client, from, count)).toEqual(wanted.slice(from, from + count));
  });

  it('is loaded anew where the name holds it without them', async () => {
    const { client, artifacts } = await startWorker();
    const sha256 = artifacts.put(columnsModel(SIZE));
    await client.load('model', { sha256, warmup_batch: IMAGES });
    await client.load('model', { sha256, warmup_batch: IMAGES, exact_batches: true });
    expect(await answers(client, 0, IMAGES)).toEqual(await alone(client));
  });

  it('has its batches run one by one for a client of Triton too', async () => {
    const { client, worker, artifacts } = await startWorker();
    const text = (value: string) => ({ string_value: value });
    const load = (exact: string) => {
      const parameters = {
        ...{ sha256: text(artifacts.put(columnsModel(SIZE))), warmup_batch: text(`${IMAGES}`) },
        exact_batches: text(exact),
      };
      const config = JSON.stringify({ parameters });
      const body = JSON.stringify({ parameters: { config } });
      return http(worker.address, 'POST', '/v2/repository/models/model/load', body);
    };
    expect((await load('perhaps')).body.toString()).toContain('expected exact_batches to be true or false');
    expect((await load('true')).status).toBe(200);
    expect(await answers(client, 0, IMAGES)).toEqual(await alone(client));
  });
});

it('leaves a graph that is exact in batches as it is', async () => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(meanModel(SIZE, 3));
  await client.load('model', { sha256, warmup_batch: IMAGES, exact_batches: true });
  expect(await answers(client, 0, IMAGES)).toEqual(await alone(client));
});
