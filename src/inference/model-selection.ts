import type { AutoCompression } from './request.ts';
import type { Compression, Task, Variant } from './variant.ts';

/** What a request's model and compression were resolved to. */
export interface ChosenVariant {
  readonly model: string;
  readonly version: number;
  readonly variant: Variant;
}

export interface VariantWish {
  /** `name` or `name@version`. */
  readonly model: string;
  readonly task: Task;
  readonly compression: Compression | 'AUTO';
  readonly auto: AutoCompression | null;
  /** Milliseconds for one image, where known. */
  readonly latencyMs: (variantKey: string) => number | null;
}

/** The models as inference sees them. */
export interface ModelSelection {
  /**
   * @throws NotFoundError: no such model for this tenant (another's and none at all read the same), or no such variant,
   *   naming those that exist
   * @throws BadUserInputError: the model is for another task
   */
  choose(tenantId: string, wish: VariantWish): Promise<ChosenVariant>;
}
