import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { IdempotencyConflictError, OverloadedError, QuotaExceededError } from '../lib/errors.ts';
import type { Ledger, Reservation } from '../metering/ledger.ts';
import type { InferenceRequest, Receipt } from './request.ts';
import type { Task } from './variant.ts';

/** How long a hold outlives its request's deadline: a commit must find it, however late in the queue it stands. */
export const HOLD_OUTLIVES_DEADLINE_MS = 30_000;
/** How often a request asks whether the first one under its idempotency key is done. */
const ASK_AGAIN_MS = 20;
/** The first one may have died with its server, and its hold with its time: then four tries outlive it. */
const EQUAL_RETRY_AFTER_MS = HOLD_OUTLIVES_DEADLINE_MS / 3;

/** An answer as it is kept under an idempotency key: all but the quota, which is told as it is at the replay. */
export interface KeptAnswer<Result> {
  readonly results: readonly Result[];
  readonly receipt: Omit<Receipt, 'quota'>;
}

export type Hold<Result> = { kind: 'admitted' } | { kind: 'replay'; answer: KeptAnswer<Result> };

/**
 * Reserves units; where the same request runs already, waits for its answer, and tells so by `waits`.
 *
 * @throws QuotaExceededError, IdempotencyConflictError, or the signal's reason
 */
export async function hold<Result>(
  ledger: Ledger,
  reservation: Reservation,
  { signal, waits }: { signal: AbortSignal; waits(isWaiting: boolean): void },
): Promise<Hold<Result>> {
  for (;;) {
    const outcome = await ledger.reserve(reservation);
    waits(outcome.kind === 'in-progress');
    switch (outcome.kind) {
      case 'admitted':
        return outcome;
      case 'replay':
        return { kind: 'replay', answer: outcome.answer as KeptAnswer<Result> };
      case 'conflict':
        throw new IdempotencyConflictError(
          'input.idempotencyKey was used for other input within 24 hours: send the same input, or another key.',
        );
      case 'quota-exceeded':
        throw new QuotaExceededError(
          `This request costs ${reservation.units} units and ${outcome.remaining} remain until ${outcome.resetsAt.toISOString()}.`,
          { remaining: outcome.remaining, resetsAt: outcome.resetsAt.toISOString() },
        );
      case 'in-progress':
        await delay(ASK_AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** Of a request whose time ended while an equal one had its idempotency key: that one may still be answered, or may be dead. */
export function equalUnderWay(): OverloadedError {
  return new OverloadedError(
    'A request with this input.idempotencyKey is under way, and has no answer yet: send the same one again.',
    { retryAfterMs: EQUAL_RETRY_AFTER_MS },
  );
}

/** SHA-256 over what makes two requests the same: the task and every argument but the key itself and the time limit. */
export function requestHash(task: Task, request: InferenceRequest): Uint8Array {
  const { idempotencyKey: _, timeoutMs: __, images, ...rest } = request;
  const hash = createHash('sha256');
  hash.update(JSON.stringify([task, Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))]));
  for (const image of images) hash.update(JSON.stringify(image));
  return hash.digest();
}
