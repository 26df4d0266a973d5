import type { IncomingHttpHeaders } from 'node:http';
import { BusyError, type BusyReason } from './errors.ts';

/** Where a worker says why it is busy, which its status does not tell. Plain clients go by the words. */
const REASON = 'fovea-busy';
const reasons: readonly string[] = ['full', 'tenant', 'late'] satisfies BusyReason[];
const LONGEST_RETRY_S = 60;

/** The header fields of an answer that says that a worker is busy. */
export function busyHeaders({ reason, retryAfterMs }: BusyError): Record<string, string> {
  if (retryAfterMs === null) return { [REASON]: reason };
  const seconds = Math.min(LONGEST_RETRY_S, Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  return { [REASON]: reason, 'retry-after': String(seconds) };
}

/** What such an answer means; null: it is none of a `fovea worker`'s. */
export function busyErrorFrom(
  status: number,
  headers: IncomingHttpHeaders,
  message: string,
): BusyError | null {
  const reason = headers[REASON];
  if (status !== 503 || typeof reason !== 'string' || !reasons.includes(reason)) return null;
  const { 'retry-after': seconds = '' } = headers;
  const retryAfterMs = /^\d{1,4}$/.test(seconds) ? Math.min(LONGEST_RETRY_S, Number(seconds)) * 1_000 : null;
  return new BusyError(reason as BusyReason, message, retryAfterMs);
}
