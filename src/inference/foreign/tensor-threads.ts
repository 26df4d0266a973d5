import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import type { Logger } from '../../lib/logger.ts';
import { preparePixels } from './prepare-pixels.ts';
import type { PreparingJob } from './tensor-thread.ts';

/**
 * Bytes of pixels that are prepared on the event loop: one picture of 224 × 224 takes it 0.6 ms, and in a thread 0.8 ms, of
 * which the event loop has 0.5 ms for posting it. Four take 1.6 ms, and eight of 640 × 640 take 46 ms.
 */
const INLINE_BYTES = 224 * 224 * 3;

const threadFile = new URL('./tensor-thread.ts', import.meta.url).href;

/** Makes what other servers want of pixels so that the event loop is not held up: of many in a thread. None runs while there is nothing to do. */
export class TensorThreads {
  readonly #pool: Piscina;

  constructor(logger: Logger) {
    this.#pool = new Piscina({
      filename: threadFile,
      minThreads: 0,
      maxThreads: availableParallelism(),
      idleTimeout: 10_000,
      recordTiming: false,
    });
    // A thread that fails while it prepares nothing fails no batch; without a listener it would end the process.
    this.#pool.on('error', (err) => logger.error({ err }, 'a thread that prepares pixels failed'));
  }

  /** As `preparePixels`. Rejects with the signal's reason where it is aborted. */
  async prepare(job: PreparingJob, signal: AbortSignal): Promise<Uint8Array> {
    const { pixels, preparation, datatype } = job;
    if (pixels.byteLength <= INLINE_BYTES) return preparePixels(pixels, preparation, datatype);
    // A part of a batch would be posted with all of it: its own copy goes over for nothing.
    const own = new Uint8Array(pixels);
    return this.#run('prepare', { ...job, pixels: own }, { signal, transferList: [own.buffer] });
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #run<Result>(
    name: string,
    job: unknown,
    options: { signal: AbortSignal; transferList?: ArrayBuffer[] },
  ): Promise<Result> {
    try {
      return await this.#pool.run(job, { name, ...options });
    } catch (error) {
      options.signal.throwIfAborted();
      throw error;
    }
  }
}
