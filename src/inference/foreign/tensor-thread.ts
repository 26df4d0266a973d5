import { move } from 'piscina';
import type { Preprocessing } from '../preprocessing.ts';
import type { FedType } from './input-feed.ts';
import { preparePixels } from './prepare-pixels.ts';

export interface PreparingJob {
  readonly pixels: Uint8Array;
  readonly preparation: Preprocessing;
  readonly datatype: FedType;
}

/** As `preparePixels`; its bytes go back without a copy. */
export function prepare({ pixels, preparation, datatype }: PreparingJob): unknown {
  return move(preparePixels(pixels, preparation, datatype));
}
