import type { WorkerPool } from '../pool/pool.ts';
import type { InferenceWorker } from '../pool/worker.ts';
import { Lane } from './lane.ts';

/** The workers of a pool, each as a lane. */
export class Lanes {
  readonly #pool: WorkerPool;
  readonly #lanes = new WeakMap<InferenceWorker, Lane>();

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  /** Those of the workers that may be given work. */
  get present(): Lane[] {
    return this.#pool.workers.map((worker) => this.of(worker));
  }

  /** Whether some of them choose among tenants themselves. */
  get areShared(): boolean {
    return this.#pool.workers.some(({ isShared }) => isShared);
  }

  of(worker: InferenceWorker): Lane {
    let lane = this.#lanes.get(worker);
    if (!lane) {
      lane = new Lane(worker);
      this.#lanes.set(worker, lane);
    }
    return lane;
  }

  /** Whether one but these is ready, and does not refuse the variant where one is told. */
  hasOther(than: ReadonlySet<Lane>, variantKey: string | null = null): boolean {
    const refuses = ({ worker }: Lane) =>
      variantKey !== null && worker.refuses(variantKey) && !worker.holds(variantKey);
    return this.present.some((lane) => lane.isReady && !than.has(lane) && !refuses(lane));
  }
}
