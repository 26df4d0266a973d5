import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Piscina } from 'piscina';
import type { Logger } from '../../lib/logger.ts';
import { Gate, type Turn } from '../gate.ts';
import type { Size } from '../images/geometry.ts';
import { ImageError } from '../images/image-error.ts';
import { bytesPerElement, type Tensor } from '../tensor.ts';
import { type Readings, type Results, readOutput, type ServedTask } from './read-output.ts';
import type { CommonReading } from './reading.ts';
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
 * Elements of the outputs, and pixels of a segmented original, that are read on the event loop in one of its turns at most.
 * Nothing may hold that up for more than 5 ms: noise, the worst of masks, takes some 15 ms for 100,000 of them on a busy core.
 */
const INLINE_ELEMENTS = 20_000;
/** Suppression compares a detector's rows with each other, so few elements may cost much. */
const INLINE_ROWS = 1_000;

const threadFile = new URL('./reading-thread.ts', import.meta.url).href;

/** Reads outputs so that the event loop is not held up: what is big in a thread, where owners take turns. */
export class OutputReader {
  readonly #gate: Gate;
  readonly #pool: Piscina;
  /** Settles when the last of those that are read on the event loop may be. */
  #line: Promise<void> = Promise.resolve();
  /** What may still be read in this turn of the event loop. */
  #elementsLeft = INLINE_ELEMENTS;
  #closed = false;

  constructor(
    logger: Logger,
    { threads = availableParallelism(), idleMs = 10_000, heapMb = 512 }: OutputReaderOptions = {},
  ) {
    this.#gate = new Gate(threads);
    this.#pool = new Piscina({
      filename: threadFile,
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: idleMs,
      resourceLimits: { maxOldGenerationSizeMb: heapMb },
      recordTiming: false,
    });
    // A thread that fails while it reads nothing fails no image; without a listener it would end the process.
    this.#pool.on('error', (err) => logger.error({ err }, 'a thread that reads outputs failed'));
  }

  /** Threads that run or wait for work. */
  get threads(): number {
    return this.#pool.threads.length;
  }

  /**
   * As `readOutput`. Tensors over shared memory are not copied.
   * @param turn whose image it is; where its signal aborts, the reading ends and rejects with the signal's reason
   * @throws ImageError INFERENCE_FAILED where the outputs cannot be read
   * @throws Error once the reader is closed
   */
  async read<T extends ServedTask>(
    task: T,
    tensors: readonly Tensor[],
    reading: Readings[T],
    turn: Turn = {},
  ): Promise<Read<Results[T]>> {
    const elements = elementsToRead(task, tensors, reading);
    if (elements <= INLINE_ELEMENTS) {
      await this.#inLine(elements);
      this.#refuseClosed();
      turn.signal?.throwIfAborted();
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
    this.#closed = true;
    await this.#pool.destroy();
  }

  /** Waits for room in a turn of the event loop: each batch's images come at once, and would add up. In order, so nobody starves. */
  #inLine(elements: number): Promise<void> {
    this.#line = this.#line.then(async () => {
      if (elements > this.#elementsLeft) {
        await nextTurn();
        this.#elementsLeft = INLINE_ELEMENTS;
      }
      this.#elementsLeft -= elements;
    });
    return this.#line;
  }

  /** An abort ends the thread that works on it, since a reading cannot be interrupted otherwise and may take many seconds. */
  async #run<Result>(name: string, job: unknown, turn: Turn): Promise<Result> {
    return this.#gate.run(async () => {
      this.#refuseClosed();
      try {
        return await this.#pool.run(job, { name, signal: turn.signal ?? null });
      } catch (error) {
        turn.signal?.throwIfAborted();
        if (!isOutOfMemory(error)) throw error;
        throw new ImageError(
          'INFERENCE_FAILED',
          'the answer of the model takes more memory to read than there is',
        );
      }
    }, turn);
  }

  #refuseClosed(): void {
    if (this.#closed) throw new Error('the reader of outputs is closed');
  }
}

/** Infinite where it is too much for the event loop by another measure. */
function elementsToRead(
  task: ServedTask,
  tensors: readonly Tensor[],
  { labels, original }: CommonReading,
): number {
  const elements = tensors.reduce(
    (sum, { datatype, data }) => sum + data.byteLength / bytesPerElement[datatype],
    0,
  );
  // A row of the heads whose overlaps are suppressed holds a box and a score a label, at least.
  if (task === 'DETECT' && elements > INLINE_ROWS * (4 + labels.length)) return Number.POSITIVE_INFINITY;
  return elements + (task === 'SEGMENT' ? original.width * original.height : 0);
}

/** A heap's limit ends its thread; memory that the system refuses is an error of the allocation alone. */
function isOutOfMemory(error: unknown): boolean {
  if (error instanceof RangeError)
    return /allocation failed|invalid (typed )?array length/i.test(error.message);
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
}
