import { parentPort, workerData } from 'node:worker_threads';
import { randomFrom } from '../../models/shapes/generator/random.ts';
import { monotonicMs } from './stream.ts';

export interface Pace {
  readonly perSecond: number;
  readonly seed: number;
  /** Shared; 1 ends the thread. */
  readonly stop: Int32Array;
}

const { perSecond, seed, stop } = workerData as Pace;
const random = randomFrom(seed);
let dueAt = monotonicMs();
while (stop[0] === 0) {
  dueAt += (-Math.log(1 - random.next()) * 1000) / perSecond;
  for (let wait = dueAt - monotonicMs(); wait > 0 && stop[0] === 0; wait = dueAt - monotonicMs())
    Atomics.wait(stop, 0, 0, wait);
  if (stop[0] === 0) parentPort!.postMessage(dueAt);
}
