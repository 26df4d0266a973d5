import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { Gate, type Turn } from '../gate.ts';
import type { Size } from '../images/geometry.ts';
import { ImageError } from '../images/image-error.ts';
import { bytesPerElement, type Tensor } from '../tensor.ts';
import { type Readings, type Results, readOutput, type ServedTask } from './read-output.ts';
import type { ReadingJob, ReadingOutcome } from './reading-thread.ts';

export interface OutputReaderOptions {
  /** At once, at most: as many as there are cores. */
  readonly threads?: number;
  /** A thread that had nothing to do for so long ends. 10 s. */
  readonly idleMs?: number;
  /** What a thread's heap may hold, beside the tensors; 512. */
  readonly heapMb?: number;
}

/** What reading came to, and how long it took without the wait for a thread, milliseconds. */
export interface Read<Result> {
  readonly result: Result;
  readonly ms: number;
}

/**
 * Elements of the outputs, and pixels of a segmented original, that are read on the event loop at most. Nothing may hold that
 * up for more than 5 ms: noise, the worst of masks, takes some 15 ms for 100,000 of them on a busy core.
 */
const INLINE_ELEMENTS = 20_000;

const threadFile = new URL('./reading-thread.ts', import.meta.url).href;

/** Reads outputs so that the event loop is not held up: what is big in a thread, where owners take turns. */
export class OutputReader {
  readonly #gate: Gate;
  readonly #pool: Piscina;

  constructor({ threads = availableParallelism(), idleMs = 10_000, heapMb = 512 }: OutputReaderOptions = {}) {
    this.#gate = new Gate(threads);
    this.#pool = new Piscina({
      filename: threadFile,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: idleMs,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
      recordTiming: false,
    });
  }

  /** Threads that run or wait for work. */
  get threads(): number {
    return this.#pool.threads.length;
  }

  /**
   * As `readOutput`. Tensors over shared memory are not copied.
   * @param turn whose image it is; an aborted wait rejects with the signal's reason
   * @throws ImageError INFERENCE_FAILED where the outputs cannot be read
   */
  async read<T extends ServedTask>(
    task: T,
    tensors: readonly Tensor[],
    reading: Readings[T],
    turn: Turn = {},
  ): Promise<Read<Results[T]>> {
    if (isSmall(task, tensors, reading.original)) {
      const from = performance.now();
      const result = readOutput(task, tensors, reading);
      return { result, ms: performance.now() - from };
    }
    const job: ReadingJob<T> = { task, tensors, reading };
    const outcome: ReadingOutcome<T> = await this.#run('read', job, turn);
    if ('code' in outcome) throw new ImageError(outcome.code, outcome.message);
    return outcome;
  }

  /** A segment's mask as a 1-bit PNG, white where the object is, in base64. */
  maskPng(rle: string, size: Size, turn: Turn = {}): Promise<string> {
    return this.#run('drawMask', { rle, size }, turn);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  /** What has begun is not cut off where its signal aborts: it is done within a second, and a fresh thread costs as much. */
  async #run<Result>(name: string, job: unknown, turn: Turn): Promise<Result> {
    return this.#gate.run(async () => {
      try {
        return await this.#pool.run(job, { name });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
        throw new ImageError(
          'INFERENCE_FAILED',
          'the answer of the model takes more memory to read than there is',
        );
      }
    }, turn);
  }
}

function isSmall(task: ServedTask, tensors: readonly Tensor[], { width, height }: Size): boolean {
  const elements = tensors.reduce(
    (sum, { datatype, data }) => sum + data.byteLength / bytesPerElement[datatype],
    0,
  );
  return elements + (task === 'SEGMENT' ? width * height : 0) <= INLINE_ELEMENTS;
}
