import { expect, it } from 'vitest';
import { parseMetadata } from '../../../src/inference/foreign/oip-metadata.ts';

it.each<[unknown, RegExp]>([
  ['text', /is no object/],
  [{ inputs: [] }, /no list of outputs/],
  [
    { inputs: [{ name: 'x', datatype: 'FP32', shape: [1.5] }], outputs: [] },
    /expected input 0 .*found .*"shape":\[1\.5\]/,
  ],
])('blames the server for the metadata %j', (answer, message) => {
  expect(() => parseMetadata(answer)).toThrow(
    expect.objectContaining({
      ...{ name: 'WorkerFaultError', reason: 'protocol', message: expect.stringMatching(message) },
    }),
  );
});
