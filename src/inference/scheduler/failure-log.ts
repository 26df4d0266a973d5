import type { Logger } from '../../lib/logger.ts';
import { ModelLoadError } from '../oip/errors.ts';

const SAID_AGAIN_MS = 60_000;
/** Reasons remembered at most: a model may say something new of every image. */
const MOST_REASONS = 1_000;

/** Tells the operator why models fail, which clients are not told: each reason of a variant once a minute. */
export class FailureLog {
  readonly #logger: Logger;
  readonly #saidAt = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** `now`: milliseconds on a clock that only goes forward. */
  report(variantKey: string, error: Error, now: number): void {
    const reason = `${variantKey} ${error.name} ${error.message}`;
    const saidAt = this.#saidAt.get(reason);
    if (saidAt !== undefined && now - saidAt < SAID_AGAIN_MS) return;
    if (this.#saidAt.size >= MOST_REASONS) this.#saidAt.clear();
    this.#saidAt.set(reason, now);
    const fields = { variant: variantKey, reason: error.message };
    if (error instanceof ModelLoadError) this.#logger.error(fields, 'a model could not be loaded');
    else this.#logger.warn(fields, 'a model failed on an image, or its worker under it');
  }
}
