import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import { OipClient } from '../oip/client.ts';
import type { InferResponse } from '../oip/codec.ts';
import { OipError, WorkerLostError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import { type Patience, patience } from './patience.ts';
import { Readiness } from './readiness.ts';
import { loadParameters, VariantLoader } from './variant-loader.ts';
import type { BatchOutput, InferenceWorker, WorkerStats } from './worker.ts';

export interface RemoteWorkerOptions {
  /** A server of the Open Inference Protocol v2, e.g. `http://gpu-1:8000`. */
  readonly baseUrl: string;
  /** A batch that takes longer is given up. 60 s. */
  readonly inferTimeoutMs?: number;
  /** Between two looks at whether it is ready. 1 s. */
  readonly pollMs?: number;
}

/** A look waits behind the batch that another client runs or the large model that it loads: far longer than an answer takes. */
const pollTimeoutMs = 30_000;
const loadTimeoutMs = 120_000;

/** A worker that somebody else runs, with the artefact store in reach or its models loaded already. */
export class RemoteWorker implements InferenceWorker {
  readonly #options: RemoteWorkerOptions;
  readonly #logger: Logger;
  readonly #client: OipClient;
  readonly #readiness = new Readiness<VariantLoader>();
  readonly #closing = new AbortController();
  readonly #watch: Promise<void>;
  /** Why it was not ready at the last look; null: it was. */
  #obstacle: string | null = null;
  #running = 0;
  #returns = -1;

  constructor(options: RemoteWorkerOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.#client = new OipClient({ baseUrl: options.baseUrl });
    this.#watch = this.#watchReadiness();
  }

  get ready(): boolean {
    return this.#readiness.current !== null;
  }

  onReady(callback: () => void): void {
    this.#readiness.onReady(callback);
  }

  stats(): WorkerStats {
    const { current, closed } = this.#readiness;
    const state = closed ? 'closed' : current ? 'ready' : 'starting';
    return {
      state,
      restarts: Math.max(0, this.#returns),
      pid: null,
      rssBytes: null,
      variants: current?.held ?? 0,
    };
  }

  async ensureLoaded(variant: Variant): Promise<void> {
    const loader = await this.#readiness.wait();
    await loader.ensure(variant);
  }

  async infer(variant: Variant, inputs: readonly Tensor[]): Promise<BatchOutput> {
    const loader = await this.#readiness.wait();
    await loader.ensure(variant);
    const start = performance.now();
    const { outputs, parameters } = await this.#inferLoaded(loader, variant, inputs);
    const { compute_ms: computeMs, device } = parameters;
    return {
      outputs,
      computeMs: typeof computeMs === 'number' ? computeMs : performance.now() - start,
      device: typeof device === 'string' ? device : 'remote',
    };
  }

  async close(): Promise<void> {
    this.killNow();
    await this.#watch;
  }

  killNow(): void {
    this.#closing.abort();
    this.#readiness.close();
    void this.#client.close();
  }

  /** A worker that restarted between two looks has lost its models, which only its error shows: load and ask once more. */
  async #inferLoaded(
    loader: VariantLoader,
    variant: Variant,
    inputs: readonly Tensor[],
  ): Promise<InferResponse> {
    const wanted = outputTensors(variant.output);
    const infer = () =>
      this.#bounded(patience(this.#options.inferTimeoutMs ?? 60_000, loader), (signal) =>
        this.#client.infer(variant.key, inputs, { outputs: wanted, signal }),
      );
    try {
      return await infer();
    } catch (error) {
      if (!(error instanceof OipError) || (await this.#holds(variant, loader))) throw error;
      loader.forget(variant);
      await loader.ensure(variant);
      return infer();
    }
  }

  /** A variant's key names its artefact: a model of that name, whoever loaded it, is the one that is meant. */
  async #load(variant: Variant): Promise<void> {
    if (await this.#holds(variant)) return;
    await this.#bounded(patience(loadTimeoutMs), (signal) =>
      this.#client.load(variant.key, loadParameters(variant), signal),
    );
  }

  /** `loader`: whose loads it may have to wait for. */
  #holds(variant: Variant, loader?: VariantLoader): Promise<boolean> {
    return this.#bounded(patience(pollTimeoutMs, loader), (signal) =>
      this.#client.modelReady(variant.key, signal),
    );
  }

  async #bounded<T>({ signal, end }: Patience, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await call(signal);
    } catch (error) {
      if (error instanceof OipError) throw error;
      this.#readiness.clear();
      if (error instanceof WorkerLostError) throw error;
      const { message } = error as Error;
      throw new WorkerLostError(`${this.#options.baseUrl} was given up: ${message}`, { cause: error });
    } finally {
      end();
      this.#running -= 1;
    }
  }

  async #watchReadiness(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      // While it computes for us it cannot answer, and its answer will show that it is well.
      if (this.#running === 0) await this.#look();
      await sleep(this.#options.pollMs ?? 1_000, undefined, { signal }).catch(() => undefined); // Aborted: as above.
    }
  }

  async #look(): Promise<void> {
    const obstacle = await this.#client
      .whyServerNotReady(AbortSignal.timeout(pollTimeoutMs))
      .catch(() => `it did not answer within ${pollTimeoutMs} ms`);
    // A batch that was sent meanwhile keeps it from answering, and says nothing against it.
    if (this.#running > 0 || this.#closing.signal.aborted) return;
    const worker = this.#options.baseUrl;
    if (obstacle !== null) {
      if (obstacle !== this.#obstacle)
        this.#logger.warn({ worker, reason: obstacle }, 'remote worker is not ready');
      this.#readiness.clear();
    } else if (!this.ready) {
      this.#logger.info({ worker }, 'remote worker is ready');
      this.#returns += 1;
      this.#readiness.set(new VariantLoader((variant) => this.#load(variant)));
    }
    this.#obstacle = obstacle;
  }
}
