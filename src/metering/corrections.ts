import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { OperatorError } from '../lib/errors.ts';
import { occurredAt } from './occurred-at.ts';
import { persist } from './persist.ts';

/** Units of a billed request that are given back. */
export interface Correction {
  readonly tenantId: string;
  readonly requestId: string;
  /** Above 0. */
  readonly units: number;
  /** 1..1000 characters, for whoever reads the ledger. */
  readonly reason: string;
  /** 1..200 characters: who answers for it. */
  readonly author: string;
}

const patienceMs = 5_000;

/**
 * Books a correction at the time of its request, so that the sums of that hour, day and month, and the quota of that month, are as if
 * it had cost less; images and requests stay what they were. `ledger` connects as fovea_ledger.
 *
 * @returns the correction's id, and the units of the request that are still billed
 * @throws OperatorError where nothing was booked of the request, or less than `units` is left of it
 */
export async function correct(
  ledger: Pick<pg.Pool, 'query'>,
  { tenantId, requestId, units, reason, author }: Correction,
): Promise<{ id: string; billed: number }> {
  const id = uuidv7();
  const values = [id, tenantId, requestId, timeOf(requestId), units, reason, author];
  const { rows } = await persist(patienceMs, () =>
    ledger.query<{ outcome: 'corrected' | 'no-event' | 'too-much'; billed: string }>(
      'SELECT * FROM fovea_correct($1, $2, $3, $4, $5, $6, $7)',
      values,
    ),
  );
  const { outcome, billed } = rows[0]!;
  if (outcome === 'no-event') {
    throw new OperatorError(
      `Nothing was booked of request ${requestId} of this tenant: nothing is given back.`,
    );
  }
  if (outcome === 'too-much') {
    throw new OperatorError(
      `Of request ${requestId} ${billed} units are billed, ${units} cannot be given back: name ${billed} at most.`,
    );
  }
  return { id, billed: Number(billed) };
}

function timeOf(requestId: string): Date {
  try {
    return occurredAt(requestId);
  } catch {
    throw new OperatorError(
      `Found ${JSON.stringify(requestId)}, wanted a request's id as its receipt tells it.`,
    );
  }
}
