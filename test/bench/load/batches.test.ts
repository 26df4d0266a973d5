import { expect, test } from 'vitest';
import { batchesOf } from '../../../bench/load/batches.ts';
import type { Sample } from '../../../bench/load/stream.ts';

const answered = (startedAt: number, totalMs: number, inferenceMs: number, batchSize: number): Sample => ({
  ...{ outcome: 'ANSWERED', dueAt: 0, sentAt: 0, doneAt: 0, images: 1 },
  receipt: {
    ...{ startedAt, totalMs, inferenceMs, batchSize, cachedImages: 0, units: 1 },
    ...{ decodeMs: 0, queueMs: 0, postprocessMs: 0 },
  },
});

test('images of one inference time are one batch, and it took its worker up since the one before', () => {
  const batches = batchesOf({
    a: [answered(100, 50, 20.5, 3), answered(110, 41, 20.5, 3), answered(120, 70, 30.25, 1)],
    b: [answered(130, 22, 20.5, 3), answered(90, 5, 4.125, 2)],
  });
  expect(batches).toEqual([
    { endedAt: 95, images: 2, byTenant: { b: 1 }, deviceMs: Number.NaN },
    { endedAt: 150, images: 3, byTenant: { a: 2, b: 1 }, deviceMs: 55 },
    { endedAt: 190, images: 1, byTenant: { a: 1 }, deviceMs: 40 },
  ]);
});
