import type { TraceHeaders } from '../../lib/tracing/span.ts';
import type { FaultReason, WorkerFaultError } from '../oip/errors.ts';
import type { WorkerMemory } from '../oip/worker-memory.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import type { Schedule } from './schedule.ts';
import type { LoadOptions } from './variant-loader.ts';

/** What a worker is told of a batch beside its pixels. */
export interface BatchNotes {
  /** What the worker's own spans are to hang below. */
  readonly trace?: TraceHeaders | undefined;
  /** Needed where the worker is shared, and of no use elsewhere. */
  readonly schedule?: Schedule | undefined;
  /** Whose each of its images is: who is blamed where the worker dies of it. */
  readonly tenants?: readonly string[] | undefined;
}

/** What a batch came to. */
export interface BatchOutput {
  /** Those that the variant is read by, in the order of `outputTensors`. */
  readonly outputs: Tensor[];
  /** Milliseconds that it waited at the worker before its turn; 0 where the worker does not tell. */
  readonly queueMs: number;
  /** Milliseconds of the engine alone; of the whole call where the worker does not tell. */
  readonly computeMs: number;
  /** Images that the engine ran together, those of others included. */
  readonly batchSize: number;
  readonly device: string;
}

/** Of a worker, while which it runs nothing. */
export interface Loads {
  readonly begun: number;
  readonly underWay: boolean;
}

/** Of a worker that is not ready. */
export const noLoads: Loads = { begun: -1, underWay: false };

export interface WorkerStats {
  /** `ejected`: for a while, since it was at fault time and again. */
  readonly state: 'starting' | 'ready' | 'ejected' | 'closed';
  /** How often a lost worker was replaced or came back. */
  readonly restarts: number;
  /** How often one that took more memory than it may was replaced while it went on. */
  readonly recycled: number;
  /** How often it was at fault, by reason. */
  readonly faults: ReadonlyMap<FaultReason, number>;
  /** null: not a process of this machine, or none runs. */
  readonly pid: number | null;
  /** Resident memory in bytes; null where it is not known. */
  readonly rssBytes: number | null;
  /** What its memory holds, as it told last; null: it does not tell, or has not yet. */
  readonly memory: WorkerMemory | null;
  /** What it computes on, e.g. `cuda:0`: what its last batch did, before one what it was started for; null: not known. */
  readonly device: string | null;
  /** How many variants it has loaded for this process; whoever else asks it may have it hold more. */
  readonly variants: number;
}

/**
 * A process that holds models and answers tensors, wherever it runs. It is replaced or waited for when it goes away, and
 * holds what its pool wants of it before it is ready.
 */
export interface InferenceWorker {
  /** For the log and `/metrics`: `local`, or its address without credentials. */
  readonly name: string;
  /** Batches that it is best given at once; where it is shared, of each tenant. */
  readonly capacity: number;
  /** It chooses itself among the tenants of all who give it work, and fills its batches from them: a batch is to be of one tenant. */
  readonly isShared: boolean;
  readonly ready: boolean;
  readonly loads: Loads;
  /** It does not answer what it is asked every second: it is busy, or hangs. One that is not asked is not silent. */
  readonly isSilent: boolean;
  /** What models may take of its memory beside those that are there; null where it does not tell. */
  readonly freeBytes: number | null;
  /** Whether it has loaded the variant, for all this process knows. */
  holds(variantKey: string): boolean;
  /** Whether it would not load the variant a short while ago. */
  refuses(variantKey: string): boolean;
  /** Whether it held the variant when it went away, a short while ago. */
  heldLately(variantKey: string): boolean;
  /**
   * Settles when the worker holds the variant. Waits for a worker that is not ready.
   *
   * @throws ModelLoadError where the worker refuses the artefact, WorkerLostError where it went away
   */
  ensureLoaded(variant: Variant, options?: LoadOptions): Promise<void>;
  /**
   * Runs one batch, `uint8 [N, height, width, 3]`, loading the variant first where the worker does not hold it. Waits for a
   * worker that is not ready, so calling again after a WorkerLostError runs on a fresh one.
   *
   * @throws ModelLoadError where it cannot be loaded; WorkerFaultError where the worker answered what the variant cannot have
   *   answered; another OipError where it answered one: asking again changes nothing; WorkerLostError where it went away or
   *   hung; BusyError where a shared one has no room for more of the tenant's, or could not run it in time
   */
  infer(variant: Variant, pixels: Tensor, notes?: BatchNotes): Promise<BatchOutput>;
  /** It has hung: what it has is lost, and it is replaced. There is no such thing for one that somebody else runs. */
  killHung?(): void;
  /** Called each time the worker becomes ready. */
  onReady(callback: () => void): void;
  /** Called each time that a shared worker shows that it lives, whatever it does for whom. */
  onAlive?(callback: () => void): void;
  /**
   * What one of its answers proved to be, as only whoever read it can know: null: good. A worker that somebody else runs may be
   * ejected for faults in a row.
   */
  judged(fault: WorkerFaultError | null): void;
  stats(): WorkerStats;
  /**
   * Ends it for good, or the connection to it where somebody else runs it. What runs is answered first where that takes no
   * longer than `graceMs`, 5 s.
   */
  close(graceMs?: number): Promise<void>;
  /** Ends it for good and at once, synchronously: for a process that is about to exit. */
  killNow(): void;
}
