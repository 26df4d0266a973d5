import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../../lib/logger.ts';
import { ArtifactStore } from '../artifact-store.ts';
import { type FaultReason, NO_ROOM, OipError, type WorkerFaultError } from '../oip/errors.ts';
import { type Compute, deviceName, onCpu } from '../providers/provider.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import type { TensorFlowChoice } from '../worker/engines/tensorflow/runtime.ts';
import { loadTimeoutMs } from './load-timeout.ts';
import { LocalProcess } from './local-process.ts';
import { Readiness } from './readiness.ts';
import type { LoadOptions } from './variant-loader.ts';
import {
  type BatchNotes,
  type BatchOutput,
  type InferenceWorker,
  type Loads,
  noLoads,
  type WorkerStats,
} from './worker.ts';
import { noHost, type WorkerHost } from './worker-host.ts';
import { WorkerProcess } from './worker-process.ts';

const main = fileURLToPath(new URL('../../main.ts', import.meta.url));

export interface LocalWorkerOptions {
  /** `local`, where it is the only one. */
  readonly name?: string;
  readonly host?: WorkerHost;
  /** The artefact store's folder. */
  readonly artifacts: string;
  /** Threads one inference computes with. */
  readonly threads: number;
  /** Resident memory that it may take, bytes; half of the machine's. */
  readonly memoryBytes?: number;
  /** The CPU unless told otherwise. */
  readonly compute?: Compute;
  /** As the setting FOVEA_TENSORFLOW has it; auto. */
  readonly tensorFlow?: TensorFlowChoice;
  /** Variables of its environment, beside those that `workerEnvironment` hands on. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What `worker --listen …` is appended to; this program by default. */
  readonly command?: readonly string[];
  /** A batch that takes longer has hung, whatever it should take: the process is killed and replaced. 60 s. */
  readonly inferTimeoutMs?: number;
  /** Between two looks at its memory. 1 s. */
  readonly lookMs?: number;
  /** Between two replacements of a process that takes more memory than it may: a budget may be too small. 5 min. */
  readonly recycleMs?: number;
}

/** Bounds in milliseconds. */
const startTimeoutMs = 30_000;
const stopGraceMs = 5_000;
/** How long a process that was replaced may take to answer what it was given. */
const retireMs = 120_000;
const backOffMs = { first: 100, most: 5_000, forgottenAfter: 30_000 };
/** Loading what is wanted may keep a fresh process from being ready for so long, and for one variant. */
const PREPARE_MS = 2_000;
/** What it held when it went away is expected back for so long. */
const AWAY_MS = 60_000;

/** Keeps one worker process running on this machine. Starts it at once. */
export class LocalWorker implements InferenceWorker {
  readonly name: string;
  /** On a GPU a batch's way there is long beside its run, so the next is there when one is done. */
  readonly capacity: number;
  readonly isShared = false;
  readonly #options: LocalWorkerOptions;
  readonly #host: WorkerHost;
  readonly #logger: Logger;
  readonly #readiness = new Readiness<LocalProcess>();
  readonly #closing = new AbortController();
  readonly #supervision: Promise<void>;
  /** All that run: the one that serves, one that is to take its place, those that end. */
  readonly #processes = new Set<LocalProcess>();
  readonly #retired = new WeakSet<LocalProcess>();
  readonly #retiring = new Set<Promise<void>>();
  readonly #faults = new Map<FaultReason, number>();
  #restarts = 0;
  #recycled = 0;
  #recycledAt = Number.NEGATIVE_INFINITY;
  #device: string;

  constructor(options: LocalWorkerOptions, logger: Logger) {
    this.#options = options;
    this.#host = options.host ?? noHost;
    this.name = options.name ?? 'local';
    this.#logger = logger.child({ worker: this.name });
    const { providers, deviceId } = options.compute ?? onCpu;
    this.capacity = providers[0] === 'cpu' ? 1 : 2;
    this.#device = deviceName(providers[0]!, deviceId);
    this.#supervision = this.#supervise();
  }

  get ready(): boolean {
    return this.#readiness.current !== null;
  }

  get loads(): Loads {
    const { begun, underWay } = this.#readiness.current?.loader.loads ?? noLoads;
    // One that was replaced may be loading for what it was given before.
    const isLoading = ({ isBusy, loader }: LocalProcess) => isBusy && loader.loads.underWay;
    return { begun, underWay: underWay || [...this.#processes].some(isLoading) };
  }

  get isSilent(): boolean {
    return this.#readiness.current?.memory.isSilent ?? false;
  }

  get freeBytes(): number | null {
    return this.#readiness.current?.memory.latest?.freeBytes ?? null;
  }

  holds(variantKey: string): boolean {
    return this.#readiness.current?.loader.holds(variantKey) ?? false;
  }

  refuses(variantKey: string): boolean {
    return this.#readiness.current?.loader.refuses(variantKey) ?? false;
  }

  heldLately(variantKey: string): boolean {
    return this.#readiness.formerWithin(AWAY_MS)?.loader.holds(variantKey) ?? false;
  }

  onReady(callback: () => void): void {
    this.#readiness.onReady(callback);
  }

  stats(): WorkerStats {
    const { current, closed } = this.#readiness;
    const running = (current ?? [...this.#processes].at(-1))?.process;
    return {
      state: closed ? 'closed' : current ? 'ready' : 'starting',
      restarts: this.#restarts,
      recycled: this.#recycled,
      faults: this.#faults,
      pid: running?.pid ?? null,
      rssBytes: running?.rssBytes ?? null,
      memory: current?.memory.latest ?? null,
      device: this.#device,
      variants: current?.loader.held.length ?? 0,
    };
  }

  async ensureLoaded(variant: Variant, options?: LoadOptions): Promise<void> {
    const { loader } = await this.#readiness.wait();
    await loader.ensure(variant, options);
  }

  async infer(variant: Variant, pixels: Tensor, notes: BatchNotes = {}): Promise<BatchOutput> {
    const running = await this.#readiness.wait();
    const output = await running.infer(variant, pixels, notes);
    this.#device = output.device;
    return output;
  }

  /** Of one that was replaced but has yet to answer, that one. */
  killHung(): void {
    for (const process of this.#processes) {
      if (!process.isBusy) continue;
      this.#logger.error('inference worker has hung: it is killed');
      process.killHung();
    }
  }

  judged(fault: WorkerFaultError | null): void {
    if (fault === null) return;
    const { reason } = fault;
    this.#faults.set(reason, (this.#faults.get(reason) ?? 0) + 1);
  }

  async close(graceMs = stopGraceMs): Promise<void> {
    this.#closing.abort();
    this.#readiness.close();
    await Promise.all(Array.from(this.#processes, ({ process }) => process.stop(graceMs)));
    await this.#supervision;
    await Promise.all(this.#retiring);
  }

  killNow(): void {
    this.#closing.abort();
    this.#readiness.close();
    for (const { process } of this.#processes) process.kill();
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#closing;
    let delay = backOffMs.first;
    while (!signal.aborted) {
      let serving = await this.#begin(this.#wanted());
      const readyAt = serving ? performance.now() : Number.POSITIVE_INFINITY;
      while (serving) serving = await this.#serve(serving);
      if (signal.aborted) return;
      if (performance.now() - readyAt >= backOffMs.forgottenAfter) delay = backOffMs.first;
      await this.#pause(delay);
      delay = Math.min(2 * delay, backOffMs.most);
      this.#restarts += 1;
    }
  }

  /** What a process is to load while nobody can be answered. */
  *#wanted(): Generator<Variant, void> {
    const start = performance.now();
    for (const variant of this.#host.wanted) {
      yield variant;
      if (performance.now() - start > PREPARE_MS) return;
    }
  }

  /** What one that is to take the place of `former` is to load: all that it holds, as long as it goes on meanwhile. */
  *#heldBy(former: LocalProcess): Generator<Variant, void> {
    for (const variant of former.loader.held) {
      if (this.#readiness.current !== former) return yield* this.#wanted();
      yield variant;
    }
  }

  /** Starts a process, which has loaded of `wanted` what there is room for; null, and logged, where that fails. */
  async #begin(wanted: Iterable<Variant>): Promise<LocalProcess | null> {
    const { artifacts, threads, memoryBytes, compute = onCpu, tensorFlow = 'auto' } = this.#options;
    const { command = [process.execPath, '--disable-warning=ExperimentalWarning', main] } = this.#options;
    const { environment = {} } = this.#options;
    try {
      const worker = new WorkerProcess(command, {
        ...{ artifacts, threads, compute, tensorFlow, logLevel: this.#logger.level, environment },
        ...(memoryBytes !== undefined && { memoryBytes }),
      });
      const begun: LocalProcess = new LocalProcess(worker, {
        inferTimeoutMs: this.#options.inferTimeoutMs ?? 60_000,
        loadTimeoutMs: (variant) => loadTimeoutMs(variant, compute, new ArtifactStore(artifacts)),
        lookMs: this.#options.lookMs ?? 1_000,
        host: this.#host,
        logger: this.#logger,
        lost: () => this.#leave(begun),
      });
      this.#processes.add(begun);
      void begun.ended.then((how) => {
        this.#processes.delete(begun);
        this.#leave(begun);
        if (!this.#closing.signal.aborted && !this.#retired.has(begun))
          this.#logger.error({ how }, 'inference worker ended; starting another');
      });
      try {
        await worker.listening(startTimeoutMs);
        await this.#prepare(begun, wanted);
        return begun;
      } catch (error) {
        worker.kill();
        await begun.ended;
        throw error;
      }
    } catch (error) {
      if (!this.#closing.signal.aborted)
        this.#logger.error({ err: error }, 'inference worker did not become ready');
      return null;
    }
  }

  /** A variant that cannot be loaded must not keep the others from being served. Whoever asks for it hears why. */
  async #prepare({ loader }: LocalProcess, wanted: Iterable<Variant>): Promise<void> {
    for (const variant of wanted) {
      try {
        await loader.ensure(variant, { onlyIfRoom: true });
      } catch (error) {
        if (!(error instanceof OipError)) throw error;
        const { status, message: reason } = error;
        // There may be room for a smaller one.
        if (status !== NO_ROOM)
          this.#logger.error(
            { model: variant.title, variant: variant.key, reason },
            'a model could not be loaded again',
          );
      }
    }
  }

  /** Settles when the process has ended, with null, or has a successor, with that. */
  async #serve(serving: LocalProcess): Promise<LocalProcess | null> {
    const exceeded = serving.exceeded().then(() => 'exceeded' as const);
    if (this.#readiness.current !== serving) this.#readiness.set(serving);
    void serving.memory.look();
    const ended = serving.ended.then(() => null);
    if ((await Promise.race([ended, exceeded])) === null) return null;
    const { recycleMs = 300_000 } = this.#options;
    await Promise.race([ended, this.#pause(this.#recycledAt + recycleMs - performance.now())]);
    if (serving.process.pid === null || this.#closing.signal.aborted) return ended;
    this.#recycledAt = performance.now();
    this.#logger.warn('inference worker takes more memory than it may: another takes its place');
    const successor = await this.#begin(this.#heldBy(serving));
    if (successor === null) return serving.process.pid === null ? null : serving;
    if (this.#readiness.current === serving) this.#recycled += 1;
    else this.#restarts += 1;
    const retiring = this.#retire(serving);
    this.#retiring.add(retiring);
    void retiring.finally(() => this.#retiring.delete(retiring));
    return successor;
  }

  /** Ends it once it has answered what it was given, which the next to be given work is not any more. */
  async #retire(former: LocalProcess): Promise<void> {
    this.#retired.add(former);
    await Promise.race([former.idle(), this.#pause(retireMs)]);
    await former.process.stop(stopGraceMs);
  }

  #leave(former: LocalProcess): void {
    if (this.#readiness.current === former) this.#readiness.clear();
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#closing;
    await sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined); // Whoever waits sees that it is closing.
  }
}
