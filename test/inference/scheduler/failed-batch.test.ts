import { describe, expect, it } from 'vitest';
import {
  BusyError,
  type BusyReason,
  ModelLoadError,
  OipError,
  WorkerFaultError,
  WorkerLostError,
} from '../../../src/inference/oip/errors.ts';
import type { QueuedImage } from '../../../src/inference/scheduler/batch.ts';
import { afterFailure, type Failure } from '../../../src/inference/scheduler/failed-batch.ts';
import type { OverloadedError } from '../../../src/lib/errors.ts';
import { laneAt, paperImages } from './paper-worker.ts';

const lane = laneAt(null);
const codes = ({ fail }: ReturnType<typeof afterFailure>) =>
  fail.map(({ told }) => (told as { code?: string }).code);

/** Of the workers that went away so many before it are long forgotten, unless it is told. */
const dead = (number: number, firstLately = number) => ({ number, firstLately });

/** Whether another than those where the image was tried is ready. */
const someOther = () => true;
const none = () => false;

function failed(images: readonly QueuedImage[], error: Error, overrides: Partial<Failure> = {}) {
  return afterFailure(images, {
    ...{ error, lane, death: null, wasAlone: images.length === 1, isDeadly: false, hasOther: someOther },
    ...overrides,
  });
}

describe('a shared worker that does not run it', () => {
  const told = (reason: BusyReason) => {
    const { fail } = failed(paperImages(1), new BusyError(reason, 'not now', 250));
    return fail.map(({ told: { message }, told }) => [(told as OverloadedError).code, message]);
  };

  it('says whether its tenant, everybody, or time is why', () => {
    expect(told('tenant')).toEqual([['OVERLOADED', expect.stringMatching(/^You have as many images/)]]);
    expect(told('full')).toEqual([
      ['OVERLOADED', expect.stringMatching(/^The inference workers have no time/)],
    ]);
    expect(told('late')).toEqual([['DEADLINE_EXCEEDED', expect.anything()]]);
  });
});

describe('after its worker went away', () => {
  const gone = new WorkerLostError('gone');

  it('each image runs alone and elsewhere', () => {
    const images = paperImages(2);
    expect(failed(images, gone, { death: dead(1), hasOther: none })).toEqual({
      again: [[images[0]], [images[1]]],
      queue: [],
      fail: [],
    });
    expect(images).toMatchObject([{ alone: true }, { alone: true }]);
    expect(images.map(({ avoided }) => [...avoided])).toEqual([[lane], [lane]]);
  });

  it('an image has failed that two died of when they had nothing else', () => {
    const [culprit, other] = paperImages(2);
    failed([culprit!, other!], gone, { death: dead(1) });
    expect(codes(failed([culprit!], gone, { death: dead(2) }))).toEqual([]);
    expect(codes(failed([culprit!], gone, { death: dead(3) }))).toEqual(['INFERENCE_FAILED']);
    const [lonely] = paperImages(1);
    expect(codes(failed([lonely!], gone, { death: dead(4) }))).toEqual([]);
    expect(codes(failed([lonely!], gone, { death: dead(5) }))).toEqual(['INFERENCE_FAILED']);
  });

  it('an image has not failed that was not alone there', () => {
    const [image] = paperImages(1);
    for (let death = 1; death < 10; death += 1)
      expect(codes(failed([image!], gone, { death: dead(death), wasAlone: false }))).toEqual([]);
  });

  it('an image is given more tries where workers die without it as well, but not for ever', () => {
    const [image] = paperImages(1);
    for (const death of [1, 3, 4, 6])
      expect(failed([image!], gone, { death: dead(death) })).toMatchObject({ again: [[image]], fail: [] });
    expect(codes(failed([image!], gone, { death: dead(7) }))).toEqual(['INFERENCE_FAILED']);
  });

  it('an image has failed that workers are known to break under, whatever died besides', () => {
    const broken = new WorkerLostError('SIGSEGV', { hasBroken: true });
    const [image] = paperImages(1);
    expect(codes(failed([image!], broken, { death: dead(2, 1) }))).toEqual([]);
    expect(codes(failed([image!], broken, { death: dead(4, 1), isDeadly: true }))).toEqual([
      'INFERENCE_FAILED',
    ]);
  });

  it('an image is given more tries where workers died lately before it came', () => {
    const [image] = paperImages(1);
    for (const number of [4, 5, 6, 7])
      expect(failed([image!], gone, { death: dead(number, 3) })).toMatchObject({
        again: [[image]],
        fail: [],
      });
    expect(codes(failed([image!], gone, { death: dead(8, 3) }))).toEqual(['INFERENCE_FAILED']);
  });

  it('one that has no time is left for another, and then the client is told', () => {
    const images = paperImages(2);
    const busy = new WorkerLostError('503', { isBusy: true });
    expect(failed(images, busy)).toEqual({ again: [images], queue: [], fail: [] });
    expect(images).toMatchObject([{ lost: 0, alone: false }, { lost: 0 }]);
    expect(codes(failed(images, busy))).toEqual(['OVERLOADED', 'OVERLOADED']);
  });
});

it('runs the batch as it is on every other worker after one was at fault, and on the only one once more', () => {
  const images = paperImages(2);
  const error = new WorkerFaultError('shape', 'another');
  const again = { again: [images], queue: [], fail: [] };
  for (let others = 0; others < 3; others += 1)
    expect(failed(images, error, { lane: laneAt(null) })).toEqual(again);
  expect(images).toMatchObject([{ alone: false }, { alone: false }]);
  expect(codes(failed(images, error, { hasOther: none }))).toEqual(['INFERENCE_FAILED', 'INFERENCE_FAILED']);
  const [lonely] = [paperImages(1)];
  expect(failed(lonely, error, { hasOther: none })).toEqual({ ...again, again: [lonely] });
  expect(codes(failed(lonely, error, { hasOther: none }))).toEqual(['INFERENCE_FAILED']);
});

it('runs the batch as it is on every other worker where one does not take the model', () => {
  const error = new ModelLoadError(404, 'not here');
  const images = paperImages(2);
  expect(failed(images, error)).toEqual({ again: [images], queue: [], fail: [] });
  expect(codes(failed(images, error, { hasOther: none }))).toEqual(['INFERENCE_FAILED', 'INFERENCE_FAILED']);
});

it('queues each image alone where the model failed on several, and believes it of one where two workers say so', () => {
  const error = new OipError(500, 'the model failed');
  const images = paperImages(2);
  expect(failed(images, error)).toEqual({ again: [], queue: images, fail: [] });
  expect(images).toMatchObject([{ alone: true }, { alone: true }]);
  const [image] = images;
  expect(failed([image!], error)).toEqual({ again: [[image]], queue: [], fail: [] });
  expect(image).toMatchObject({ failedOn: { lane, reason: 'the model failed' } });
  expect([...image!.avoided]).toEqual([lane]);
  expect(codes(failed([image!], error, { lane: laneAt(null) }))).toEqual(['INFERENCE_FAILED']);
});

it('believes a worker that there is no other, or that the image is to blame', () => {
  const [first, second] = paperImages(2);
  expect(codes(failed([first!], new OipError(500, 'it failed'), { hasOther: none }))).toEqual([
    'INFERENCE_FAILED',
  ]);
  expect(codes(failed([second!], new OipError(400, 'bad')))).toEqual(['INFERENCE_FAILED']);
});
