import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import type { Logger } from '../../lib/logger.ts';
import { WorkerFaultError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import type { DeclaredTensor } from './declared-model.ts';
import { preparePixels } from './prepare-pixels.ts';
import type { PreparingJob, ReadAnswer, ReadingJob, WritingJob } from './tensor-thread.ts';
import { bytesOf, claimsOf } from './tensorflow-serving/predict-messages.ts';
import { readPredictions } from './tensorflow-serving/rest-messages.ts';
import { tensorOf } from './tensorflow-serving/tensors.ts';

/**
 * Bytes of pixels that are prepared on the event loop: one picture of 224 × 224 takes it 0.6 ms, and in a thread 0.8 ms, of
 * which the event loop has 0.5 ms for posting it. Four take 1.6 ms, and eight of 640 × 640 take 46 ms.
 */
const INLINE_PIXELS = 224 * 224 * 3;

/** Bytes of an answer that are read there, as they came and as they are read: where they come number by number, as TensorFlow Serving sends them, 5 ms. */
const INLINE_ANSWER = 2 ** 18;

const threadFile = new URL('./tensor-thread.ts', import.meta.url).href;

/**
 * Works on the tensors that go to other servers and come from them so that the event loop is not held up: on large ones in
 * threads, of which none runs while there is nothing to do.
 */
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
    // A thread that fails while it works on nothing fails no batch; without a listener it would end the process.
    this.#pool.on('error', (err) => logger.error({ err }, "a thread for other servers' tensors failed"));
  }

  /** As `preparePixels`. Here as below: rejects with the signal's reason where it is aborted. */
  async prepare(job: PreparingJob, signal: AbortSignal): Promise<Uint8Array> {
    const { pixels, preparation, datatype } = job;
    if (pixels.byteLength <= INLINE_PIXELS) return preparePixels(pixels, preparation, datatype);
    // A part of a batch would be posted with all of it: its own copy goes over for nothing.
    const own = new Uint8Array(pixels);
    return this.#run('prepare', { ...job, pixels: own }, { signal, transferList: [own.buffer] });
  }

  /** As `readPrediction`. Takes over the memory of a large message. */
  async readPrediction(
    message: Uint8Array,
    wanted: readonly DeclaredTensor[],
    signal: AbortSignal,
  ): Promise<Tensor[]> {
    const isSmall = message.byteLength <= INLINE_ANSWER;
    if (isSmall) {
      const claims = claimsOf(message, wanted);
      if (bytesOf(claims) <= INLINE_ANSWER) return claims.map(tensorOf);
    }
    // A small one shares its memory with others. A large one is read here no more: handed over, 22 MB take no time.
    const body = isSmall ? new Uint8Array(message) : message;
    const { buffer } = body;
    const transferList = buffer instanceof ArrayBuffer ? [buffer] : [];
    const job: ReadingJob = { body, wanted };
    return tensorsOf(await this.#run<ReadAnswer>('readPrediction', job, { signal, transferList }));
  }

  /** As `writeInstances`, which takes 2 ms for a picture of 64 × 64: never on the event loop. */
  async writeInstances(signature: string, tensor: Tensor, signal: AbortSignal): Promise<Uint8Array> {
    // As above: a part of a batch goes alone.
    const own = new Uint8Array(tensor.data);
    const job: WritingJob = { signature, tensor: { ...tensor, data: own } };
    return this.#run('writeInstances', job, { signal, transferList: [own.buffer] });
  }

  /** As `readPredictions`. */
  async readPredictions(
    body: Uint8Array,
    wanted: readonly DeclaredTensor[],
    signal: AbortSignal,
  ): Promise<Tensor[]> {
    if (body.byteLength <= INLINE_ANSWER) return readPredictions(body, wanted);
    const job: ReadingJob = { body, wanted };
    return tensorsOf(await this.#run<ReadAnswer>('readPredictions', job, { signal }));
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

function tensorsOf(answer: ReadAnswer): Tensor[] {
  if ('tensors' in answer) return answer.tensors;
  throw new WorkerFaultError(answer.fault.reason, answer.fault.message);
}
