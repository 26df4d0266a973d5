import { v7 as uuidv7 } from 'uuid';
import { expect, test } from 'vitest';
import { readAnswer } from '../../../bench/load/read-answer.ts';

const timings = { totalMs: 9, decodeMs: 2, queueMs: 1, inferenceMs: 4, postprocessMs: 0.5 };

test('an answer tells its images, its receipt, and when the server began', () => {
  const msecs = Date.UTC(2026, 10, 26);
  const receipt = { requestId: uuidv7({ msecs }), units: 8, batchSize: 2, cachedImages: 0, timings };
  const results = [{ __typename: 'Classification' }, { __typename: 'ImageError', code: 'CORRUPT_IMAGE' }];
  const body = JSON.stringify({ data: { classify: { results, receipt } } });
  expect(readAnswer('fovea', 200, body)).toEqual({
    outcome: 'ANSWERED',
    images: 1,
    receipt: { startedAt: msecs, units: 8, batchSize: 2, cachedImages: 0, ...timings },
  });
});

test('what is not answered is told by its code', () => {
  const error = JSON.stringify({ data: null, errors: [{ extensions: { code: 'OVERLOADED' } }] });
  expect(readAnswer('fovea', 503, error).outcome).toBe('OVERLOADED');
  const failed = { results: [{ __typename: 'ImageError', code: 'CORRUPT_IMAGE' }] };
  const spoilt = JSON.stringify({ data: { classify: failed } });
  expect(readAnswer('fovea', 200, spoilt)).toEqual({ outcome: 'CORRUPT_IMAGE', images: 0, receipt: null });
  expect(readAnswer('fovea', 502, '<html>').outcome).toBe('HTTP_502');
  expect(readAnswer('plain', 500, '{}').outcome).toBe('HTTP_500');
});
