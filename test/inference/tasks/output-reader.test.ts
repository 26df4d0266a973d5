import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { ImageError } from '../../../src/inference/images/image-error.ts';
import { OutputReader, type OutputReaderOptions } from '../../../src/inference/tasks/output-reader.ts';
import { readOutput } from '../../../src/inference/tasks/read-output.ts';
import { maskPng } from '../../../src/inference/tasks/segment/mask-png.ts';
import type { SegmentReading } from '../../../src/inference/tasks/segment/segment.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import { createLogger } from '../../../src/lib/logger.ts';

function openReader(options: OutputReaderOptions = {}): OutputReader {
  const reader = new OutputReader(createLogger('silent'), options);
  onTestFinished(() => reader.close());
  return reader;
}

/** Logits of three classes over `side` × `side` cells, in shared memory. */
function mask(side: number, value: (index: number) => number = (index) => Math.sin(index)): Tensor {
  const data = new Float32Array(new SharedArrayBuffer(3 * side * side * 4));
  for (let index = 0; index < data.length; index++) data[index] = value(index);
  return { name: 'mask', datatype: 'FP32', shape: [3, side, side], data: new Uint8Array(data.buffer) };
}

const reading = (side: number, labels: readonly string[] = ['none', 'a', 'b']): SegmentReading => ({
  output: { kind: 'mask-logits', tensor: 'mask', layout: 'NCHW', background: 0 },
  input: { width: side, height: side, fit: 'fill', resizeShort: null, align: 'center', pad: 0 },
  ...{ original: { width: 2 * side, height: side }, minScore: 0, labels },
});

it('what is small is read at once, without a thread', async () => {
  const reader = openReader();
  const { result } = await reader.read('SEGMENT', [mask(20)], reading(20));
  expect(result).toEqual(readOutput('SEGMENT', [mask(20)], reading(20)));
  expect(reader.threads).toBe(0);
});

it('no turn of the event loop reads more than its share of a batch', async () => {
  const reader = openReader();
  // Of 2,400 elements and pixels each: 8 fit 20,000.
  const side = 20;
  const small = { ...reading(side), original: { width: 60, height: 20 } };
  let read = 0;
  const batch = Array.from({ length: 32 }, () =>
    reader.read('SEGMENT', [mask(side)], small).then(() => read++),
  );
  const perTurn: number[] = [];
  while (read < batch.length) {
    const before = read;
    await nextTurn();
    perTurn.push(read - before);
  }
  await Promise.all(batch);
  expect(Math.max(...perTurn)).toBe(8);
  expect(reader.threads).toBe(0);
});

it('a detection of many rows is read in a thread, however few elements they are', async () => {
  const reader = openReader();
  const read = (rows: number) => {
    const data = new Uint8Array(rows * 6 * 4);
    return reader.read('DETECT', [{ name: 'out', datatype: 'FP32', shape: [rows, 6], data }], {
      output: { kind: 'yolov5', tensor: 'out', strides: [8], anchors: null },
      ...{ input: reading(8).input, original: { width: 8, height: 8 }, labels: ['a'] },
      ...{ minScore: 0.5, iouThreshold: 0.5, maxDetections: 10 },
    });
  };
  await read(500);
  expect(reader.threads).toBe(0);
  await read(2_000);
  expect(reader.threads).toBe(1);
});

it('what is big is read in a thread, to the same result, and the thread ends when it is idle', async () => {
  const reader = openReader({ idleMs: 50 });
  const { result, ms } = await reader.read('SEGMENT', [mask(256)], reading(256));
  expect(reader.threads).toBe(1);
  expect(result).toEqual(readOutput('SEGMENT', [mask(256)], reading(256)));
  expect(ms).toBeGreaterThan(0);
  await vi.waitUntil(() => reader.threads === 0, { timeout: 10_000 });
});

it('a small mask of a large original is read in a thread too', async () => {
  const reader = openReader();
  await reader.read('SEGMENT', [mask(4)], { ...reading(4), original: { width: 4_000, height: 3_000 } });
  expect(reader.threads).toBe(1);
});

it('an ImageError comes back as one', async () => {
  const reader = openReader();
  const broken = mask(256, (index) => (index === 70_000 ? Number.NaN : 0));
  const answer = reader.read('SEGMENT', [broken], reading(256));
  await expect(answer).rejects.toThrow(ImageError);
  await expect(answer).rejects.toMatchObject({
    code: 'INFERENCE_FAILED',
    message: 'the model answered NaN for a pixel, which is no number',
  });
});

it('masks are drawn in a thread', async () => {
  const reader = openReader();
  const size = { width: 2, height: 2 };
  expect(await reader.maskPng('04', size)).toBe(Buffer.from(maskPng('04', size)).toString('base64'));
  expect(reader.threads).toBe(1);
});

it('tenants take turns, and a request that was given up leaves its place', async () => {
  const reader = openReader({ threads: 1 });
  const order: string[] = [];
  const read = (owner: string, signal?: AbortSignal) =>
    reader.read('SEGMENT', [mask(256)], reading(256), { owner, signal }).then(() => order.push(owner));
  const gone = new AbortController();
  const first = read('greedy');
  const leaving = read('greedy', gone.signal);
  const rest = [read('greedy'), read('greedy'), read('modest')];
  gone.abort(new Error('hung up'));
  await expect(leaving).rejects.toThrow('hung up');
  await Promise.all([first, ...rest]);
  expect(order).toEqual(['greedy', 'modest', 'greedy', 'greedy']);
});

it('a thread that runs out of memory fails its image, and none of the others', async () => {
  const reader = openReader({ threads: 1, heapMb: 24 });
  const labels = Array.from({ length: 1_500_000 }, (_, index) => `label ${index}`);
  const greedy = reader.read('SEGMENT', [mask(256)], reading(256, labels));
  const modest = reader.read('SEGMENT', [mask(256)], reading(256));
  await expect(greedy).rejects.toMatchObject({ code: 'INFERENCE_FAILED' });
  expect((await modest).result.segments).toHaveLength(2);
});

it('memory that cannot be had fails its image', async () => {
  const reader = openReader();
  const boundless = { ...mask(256), shape: [3, 1_000_000, 1_000_000] };
  const answer = reader.read('SEGMENT', [boundless], reading(256));
  await expect(answer).rejects.toMatchObject({ name: 'ImageError', code: 'INFERENCE_FAILED' });
});

it('a reading whose request was given up ends, and its thread with it', async () => {
  const reader = openReader({ threads: 1 });
  // The thread is up, so the next goes to it at once.
  await reader.read('SEGMENT', [mask(256)], reading(256));
  const gone = new AbortController();
  const large = { ...reading(256), original: { width: 8_000, height: 6_000 } };
  const given = reader.read('SEGMENT', [mask(256)], large, { signal: gone.signal });
  await nextTurn();
  gone.abort(new Error('too late'));
  await expect(given).rejects.toThrow('too late');
  expect(reader.threads).toBe(0);
  expect((await reader.read('SEGMENT', [mask(256)], reading(256))).result.segments).toHaveLength(2);
});

it('a closed reader refuses, what is small too', async () => {
  const reader = openReader();
  await reader.close();
  await expect(reader.read('SEGMENT', [mask(20)], reading(20))).rejects.toThrow('closed');
  await expect(reader.read('SEGMENT', [mask(256)], reading(256))).rejects.toThrow('closed');
  await expect(reader.maskPng('04', { width: 2, height: 2 })).rejects.toThrow('closed');
  expect(reader.threads).toBe(0);
});
