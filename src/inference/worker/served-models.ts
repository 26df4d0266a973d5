import type { Tensor } from '../tensor.ts';
import type { Inference } from './models.ts';
import type { ModelStatistics } from './statistics.ts';
import type { Wish } from './turns.ts';

/** What a worker answers about models and runs them with, wherever these are. A model's `key` is what `keyOf` says. */
export interface ServedModels {
  /** How long the requests that wait should take, milliseconds. */
  readonly backlogMs: number;
  /** Settles where requests are taken. Throws OipError 503. */
  requireReady(): Promise<void>;
  /** `version` undefined: whichever there is. Throws OipError 404 for what is not there. */
  keyOf(name: string, version: string | undefined): Promise<string>;
  /** Whether it answers. */
  isReady(key: string): Promise<boolean>;
  metadata(key: string): object;
  /** As Triton's configuration has it, with what clients need of that; null: it tells none. */
  config(key: string): object | null;
  statisticsOf(key: string): ModelStatistics;
  statistics(): Iterable<[key: string, statistics: ModelStatistics]>;
  /** `outputs`: those wanted, null: all. Throws OipError; the wish's signal's reason where it is aborted before its turn. */
  infer(
    key: string,
    inputs: readonly Tensor[],
    outputs: readonly string[] | null,
    wish: Wish,
  ): Promise<Inference>;
  close(): Promise<void>;
}
