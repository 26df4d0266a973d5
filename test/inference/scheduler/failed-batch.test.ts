import { expect, it } from 'vitest';
import {
  ModelLoadError,
  OipError,
  WorkerFaultError,
  WorkerLostError,
} from '../../../src/inference/oip/errors.ts';
import { afterFailure } from '../../../src/inference/scheduler/failed-batch.ts';
import { laneAt, paperImages } from './paper-worker.ts';

const lane = laneAt(null);
const codes = ({ fail }: ReturnType<typeof afterFailure>) =>
  fail.map(({ told }) => (told as { code?: string }).code);

/** Whether another than those where the image was tried is ready. */
const someOther = () => true;
const none = () => false;

it('runs each image alone and elsewhere after its worker went away, and gives up what two die of', () => {
  const images = paperImages(2);
  const error = new WorkerLostError('gone');
  const course = afterFailure(images, error, lane, none);
  expect(course).toEqual({ again: [[images[0]], [images[1]]], queue: [], fail: [] });
  expect(images).toMatchObject([{ alone: true }, { alone: true }]);
  expect(images.map(({ avoided }) => [...avoided])).toEqual([[lane], [lane]]);
  expect(codes(afterFailure([images[0]!], error, lane, someOther))).toEqual(['OVERLOADED']);
});

it('runs the batch as it is on every other worker after one was at fault, and on the only one once more', () => {
  const images = paperImages(2);
  const error = new WorkerFaultError('shape', 'another');
  const again = { again: [images], queue: [], fail: [] };
  for (let others = 0; others < 3; others += 1)
    expect(afterFailure(images, error, laneAt(null), someOther)).toEqual(again);
  expect(images).toMatchObject([{ alone: false }, { alone: false }]);
  expect(codes(afterFailure(images, error, lane, none))).toEqual(['INFERENCE_FAILED', 'INFERENCE_FAILED']);
  const [lonely] = [paperImages(1)];
  expect(afterFailure(lonely, error, lane, none)).toEqual({ ...again, again: [lonely] });
  expect(codes(afterFailure(lonely, error, lane, none))).toEqual(['INFERENCE_FAILED']);
});

it('runs the batch as it is on every other worker where one does not take the model', () => {
  const error = new ModelLoadError(404, 'not here');
  const images = paperImages(2);
  expect(afterFailure(images, error, lane, someOther)).toEqual({ again: [images], queue: [], fail: [] });
  expect(codes(afterFailure(images, error, lane, none))).toEqual(['INFERENCE_FAILED', 'INFERENCE_FAILED']);
});

it('queues each image alone where the model failed on several, and believes it of one where two workers say so', () => {
  const error = new OipError(500, 'the model failed');
  const images = paperImages(2);
  expect(afterFailure(images, error, lane, someOther)).toEqual({ again: [], queue: images, fail: [] });
  expect(images).toMatchObject([{ alone: true }, { alone: true }]);
  const [image] = images;
  expect(afterFailure([image!], error, lane, someOther)).toEqual({ again: [[image]], queue: [], fail: [] });
  expect(image).toMatchObject({ failedOn: { lane, reason: 'the model failed' } });
  expect([...image!.avoided]).toEqual([lane]);
  expect(codes(afterFailure([image!], error, laneAt(null), someOther))).toEqual(['INFERENCE_FAILED']);
});

it('believes a worker that there is no other, or that the image is to blame', () => {
  const [first, second] = paperImages(2);
  expect(codes(afterFailure([first!], new OipError(500, 'it failed'), lane, none))).toEqual([
    'INFERENCE_FAILED',
  ]);
  expect(codes(afterFailure([second!], new OipError(400, 'bad'), lane, someOther))).toEqual([
    'INFERENCE_FAILED',
  ]);
});
