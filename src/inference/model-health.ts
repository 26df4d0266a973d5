import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { ImageError } from './images/image-error.ts';
import type { ChosenVariant } from './model-selection.ts';
import { BusyError, ModelLoadError, WorkerLostError } from './oip/errors.ts';
import type { Compression } from './variant.ts';

const SAID_AGAIN_MS = 60_000;
/** Reasons remembered at most: a model may say something new of every image. */
const MOST_REASONS = 1_000;
/** Answers in a row that could be read, after which a variant that gave one that could not is no longer flagged. */
const READABLE_AGAIN = 100;

/** Why an image has no answer: its model could not be loaded, or run; its worker went away; nobody can read what was answered. */
export type FailureReason = 'load' | 'run' | 'lost' | 'unreadable';

export interface VariantHealth {
  readonly model: string;
  readonly version: number;
  readonly compression: Compression;
  /** By reason, images that failed. */
  readonly failures: ReadonlyMap<FailureReason, number>;
  /** It has answered what cannot be read, and not often enough since what can. */
  readonly flagged: boolean;
}

interface Record {
  readonly chosen: ChosenVariant;
  readonly failures: Map<FailureReason, number>;
  /** Readable answers that are wanted before it is trusted again; 0: it is not flagged. */
  wanted: number;
}

/**
 * What operators are told of variants that fail, and clients are not: each reason of a variant in the log once a minute, their
 * number, and which of them answer what cannot be read. Of variants that never failed nothing is kept.
 */
export class ModelHealth {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #saidAt = new Map<string, number>();
  readonly #records = new Map<string, Record>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** One image failed. */
  failed(chosen: ChosenVariant, error: Error): void {
    if (error instanceof BusyError) return;
    const reason = reasonOf(error);
    const { key } = chosen.variant;
    const record = this.#records.get(key) ?? { chosen, failures: new Map(), wanted: 0 };
    this.#records.set(key, record);
    record.failures.set(reason, (record.failures.get(reason) ?? 0) + 1);
    if (reason === 'unreadable') record.wanted = READABLE_AGAIN;
    this.#say(chosen, reason, error);
  }

  /** One image's answer could be read. */
  answered({ variant }: ChosenVariant): void {
    const record = this.#records.get(variant.key);
    if (record !== undefined && record.wanted > 0) record.wanted -= 1;
  }

  /** Every variant that has failed since the process began. */
  list(): VariantHealth[] {
    return [...this.#records.values()].map(({ chosen, failures, wanted }) => ({
      model: chosen.model,
      version: chosen.version,
      compression: chosen.variant.compression,
      failures,
      flagged: wanted > 0,
    }));
  }

  #say({ model, version, variant }: ChosenVariant, reason: FailureReason, { name, message }: Error): void {
    const said = `${variant.key} ${name} ${message}`;
    const now = this.#clock.elapsed();
    const saidAt = this.#saidAt.get(said);
    if (saidAt !== undefined && now - saidAt < SAID_AGAIN_MS) return;
    if (this.#saidAt.size >= MOST_REASONS) this.#saidAt.clear();
    this.#saidAt.set(said, now);
    const fields = { model, version, variant: variant.key, reason: message };
    if (reason === 'load') this.#logger.error(fields, 'a model could not be loaded');
    else if (reason === 'unreadable') this.#logger.error(fields, 'a model answered what cannot be read');
    else this.#logger.warn(fields, 'a model failed on an image, or its worker under it');
  }
}

function reasonOf(error: Error): FailureReason {
  if (error instanceof ModelLoadError) return 'load';
  if (error instanceof WorkerLostError) return 'lost';
  return error instanceof ImageError ? 'unreadable' : 'run';
}
