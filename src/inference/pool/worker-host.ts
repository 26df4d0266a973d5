import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';

/**
 * `broke`: it crashed, or was ended since it was silent for too long: what it ran is to blame, however well that ran before ·
 * `gone`: somebody ended it, or it is not known here why it ended, which says nothing against what it ran well before.
 */
export type DeathKind = 'broke' | 'gone';

/** What a worker is at. */
export interface WorkerTask {
  readonly variant: Variant;
  /** The batch that it runs, `uint8 [N, height, width, 3]`; null: it does something else with the variant, as loading it. */
  readonly pixels: Tensor | null;
  /** Whose each of its images is, where that is known. */
  readonly tenants?: readonly string[] | undefined;
}

/** What a worker asks of those that it works for, and tells them. */
export interface WorkerHost {
  /** What it is to load before it is given work, the most wanted first, as far as there is room. */
  readonly wanted: Iterable<Variant>;
  /** It has loaded the variant, in `ms`. */
  loaded(variant: Variant, ms: number): void;
  /** It has run the variant. */
  answered(variantKey: string): void;
  /** It went away, or ended, while it was at `tasks`. */
  died(kind: DeathKind, tasks: Iterable<WorkerTask>): void;
}

/** Of a worker by itself. */
export const noHost: WorkerHost = { wanted: [], loaded() {}, answered() {}, died() {} };
