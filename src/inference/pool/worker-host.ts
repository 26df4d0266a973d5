import type { Variant } from '../variant.ts';
import type { DeathKind } from './quarantine.ts';

/** What a worker asks of those that it works for, and tells them. */
export interface WorkerHost {
  /** What it is to load before it is given work, the most wanted first, as far as there is room. */
  readonly wanted: Iterable<Variant>;
  /** It has loaded the variant, in `ms`. */
  loaded(variant: Variant, ms: number): void;
  /** It has run the variant. */
  answered(variantKey: string): void;
  /** It went away, or ended, while it ran or loaded `variants`. */
  died(kind: DeathKind, variants: Iterable<Variant>): void;
}

/** Of a worker by itself. */
export const noHost: WorkerHost = { wanted: [], loaded() {}, answered() {}, died() {} };
