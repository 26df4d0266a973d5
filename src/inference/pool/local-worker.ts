import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../../lib/logger.ts';
import { type FaultReason, OipError, type WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import { type Compute, deviceName, onCpu } from '../providers/provider.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import type { TensorFlowChoice } from '../worker/engines/tensorflow/runtime.ts';
import { type Patience, patience } from './patience.ts';
import { Readiness } from './readiness.ts';
import { loadParameters, VariantLoader } from './variant-loader.ts';
import { type BatchOutput, type InferenceWorker, type Loads, noLoads, type WorkerStats } from './worker.ts';
import { WorkerProcess } from './worker-process.ts';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));

export interface LocalWorkerOptions {
  /** `local`, where it is the only one. */
  readonly name?: string;
  /** What others hold, and a fresh process loads as well before it is ready. */
  readonly wanted?: () => Iterable<Variant>;
  /** The artefact store's folder. */
  readonly artifacts: string;
  /** Threads one inference computes with. */
  readonly threads: number;
  /** The CPU unless told otherwise. */
  readonly compute?: Compute;
  /** As the setting FOVEA_TENSORFLOW has it; auto. */
  readonly tensorFlow?: TensorFlowChoice;
  /** What `worker --listen …` is appended to; this program by default. */
  readonly command?: readonly string[];
  /** A batch that takes longer has hung: the process is killed and replaced. 60 s. */
  readonly inferTimeoutMs?: number;
}

/**
 * Bounds in milliseconds. Loading includes warming up, and a large graph takes seconds to optimise; TensorRT builds an engine
 * a shape, for minutes.
 */
const startTimeoutMs = 30_000;
const loadTimeoutMs = { onCpu: 120_000, elsewhere: 600_000 };
const stopGraceMs = 5_000;
const backOffMs = { first: 100, most: 5_000, forgottenAfter: 30_000 };

interface Running {
  readonly worker: WorkerProcess;
  readonly loader: VariantLoader<void>;
}

/** Keeps one worker process running on this machine, and holding what it was asked to hold. Starts it at once. */
export class LocalWorker implements InferenceWorker {
  readonly name: string;
  /** Two batches on one engine slow each other down, and the next is there at once when one is done. */
  readonly capacity = 1;
  readonly #options: LocalWorkerOptions;
  readonly #logger: Logger;
  readonly #readiness = new Readiness<Running>();
  readonly #closing = new AbortController();
  readonly #supervision: Promise<void>;
  /** What a fresh process loads before it is ready. */
  readonly #held = new Map<string, Variant>();
  /** Keys of what one could not load, or did not survive. */
  readonly #spurned = new Set<string>();
  readonly #faults = new Map<FaultReason, number>();
  #process: WorkerProcess | null = null;
  #restarts = 0;
  #device: string;

  constructor(options: LocalWorkerOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
    this.name = options.name ?? 'local';
    const { providers, deviceId } = options.compute ?? onCpu;
    this.#device = deviceName(providers[0]!, deviceId);
    this.#supervision = this.#supervise();
  }

  get ready(): boolean {
    return this.#readiness.current !== null;
  }

  get loads(): Loads {
    return this.#readiness.current?.loader.loads ?? noLoads;
  }

  holds(variantKey: string): boolean {
    return this.#readiness.current?.loader.held.has(variantKey) ?? false;
  }

  onReady(callback: () => void): void {
    this.#readiness.onReady(callback);
  }

  stats(): WorkerStats {
    const { current, closed } = this.#readiness;
    return {
      state: closed ? 'closed' : current ? 'ready' : 'starting',
      restarts: this.#restarts,
      faults: this.#faults,
      pid: this.#process?.pid ?? null,
      rssBytes: this.#process?.rssBytes ?? null,
      device: this.#device,
      variants: current?.loader.held.size ?? 0,
    };
  }

  async ensureLoaded(variant: Variant): Promise<void> {
    const { loader } = await this.#readiness.wait();
    await loader.ensure(variant);
    this.#hold(variant);
  }

  async infer(variant: Variant, pixels: Tensor): Promise<BatchOutput> {
    const { worker, loader } = await this.#readiness.wait();
    await loader.ensure(variant);
    this.#hold(variant);
    const wanted = outputTensors(variant.output);
    const bound = patience(this.#options.inferTimeoutMs ?? 60_000, loader);
    const { outputs, parameters } = await this.#bounded(worker, bound, (signal) =>
      worker.client.infer(variant.key, [pixels], { outputs: wanted, signal }),
    );
    this.#device = String(parameters.device);
    return { outputs, computeMs: Number(parameters.compute_ms), device: this.#device };
  }

  judged(fault: WorkerFaultError | null): void {
    if (fault === null) return;
    const { reason } = fault;
    this.#faults.set(reason, (this.#faults.get(reason) ?? 0) + 1);
  }

  async close(graceMs = stopGraceMs): Promise<void> {
    this.#closing.abort();
    this.#readiness.close();
    await this.#process?.stop(graceMs);
    await this.#supervision;
  }

  killNow(): void {
    this.#closing.abort();
    this.#readiness.close();
    this.#process?.kill();
  }

  /** Whatever it was that kept the process from answering, it is replaced: only an answer shows that it is well. */
  async #bounded<T>(
    worker: WorkerProcess,
    { signal, end }: Patience,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await call(signal);
    } catch (error) {
      if (error instanceof OipError) throw error;
      // Before its end is noticed: nobody shall be sent to it any more.
      if (this.#readiness.current?.worker === worker) this.#readiness.clear();
      worker.kill();
      if (error instanceof WorkerLostError) throw error;
      throw new WorkerLostError(`the worker was killed: ${(error as Error).message}`, { cause: error });
    } finally {
      end();
    }
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#closing;
    let delay = backOffMs.first;
    while (!signal.aborted) {
      const healthyMs = await this.#runOnce();
      if (signal.aborted) return;
      if (healthyMs >= backOffMs.forgottenAfter) delay = backOffMs.first;
      await sleep(delay, undefined, { signal }).catch(() => undefined); // Aborted: the loop's condition sees it.
      delay = Math.min(2 * delay, backOffMs.most);
      this.#restarts += 1;
    }
  }

  /** One process from its start to its end. Answers how long it was ready, in milliseconds. */
  async #runOnce(): Promise<number> {
    let readyAt = Number.POSITIVE_INFINITY;
    try {
      const {
        artifacts,
        threads,
        compute = onCpu,
        tensorFlow = 'auto',
        command = [process.execPath, '--disable-warning=ExperimentalWarning', main],
      } = this.#options;
      const worker = new WorkerProcess(command, {
        artifacts,
        threads,
        compute,
        tensorFlow,
        logLevel: this.#logger.level,
      });
      this.#process = worker;
      const loadMs = compute.providers[0] === 'cpu' ? loadTimeoutMs.onCpu : loadTimeoutMs.elsewhere;
      const loader = new VariantLoader((variant) =>
        this.#bounded(worker, patience(loadMs), (signal) =>
          worker.client.load(variant.key, loadParameters(variant), signal),
        ),
      );
      try {
        await worker.listening(startTimeoutMs);
        await this.#reload(loader);
        readyAt = performance.now();
        this.#readiness.set({ worker, loader });
      } catch (error) {
        worker.kill();
        throw error;
      } finally {
        const how = await worker.ended;
        if (!this.#closing.signal.aborted)
          this.#logger.error({ how }, 'inference worker ended; starting another');
      }
    } catch (error) {
      if (!this.#closing.signal.aborted)
        this.#logger.error({ err: error }, 'inference worker did not become ready');
    }
    this.#readiness.clear();
    return Math.max(0, performance.now() - readyAt);
  }

  #hold(variant: Variant): void {
    this.#held.set(variant.key, variant);
    this.#spurned.delete(variant.key);
  }

  /** What it held, and what others hold meanwhile. */
  *#toLoad(): Iterable<Variant> {
    yield* this.#held.values();
    yield* this.#options.wanted?.() ?? [];
  }

  /**
   * A variant that cannot be loaded, or that takes the process down, is not tried again with the next process: one bad artefact
   * must not keep the others from being served. Whoever asks for it next has it loaded, or hears why not.
   */
  async #reload(loader: VariantLoader<void>): Promise<void> {
    for (const variant of this.#toLoad()) {
      if (this.#spurned.has(variant.key)) continue;
      try {
        await loader.ensure(variant);
      } catch (error) {
        this.#spurned.add(variant.key);
        this.#logger.error({ err: error, variant: variant.key }, 'variant could not be loaded again');
        if (!(error instanceof OipError)) throw error;
      }
    }
  }
}
