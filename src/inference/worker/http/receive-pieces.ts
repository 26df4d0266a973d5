import type { IncomingMessage } from 'node:http';
import { OipError } from '../../oip/errors.ts';
import type { AttentiveClock } from '../attentive-clock.ts';

/** How long a client may send nothing in the midst of a body. */
export const SILENCE_MS = 30_000;

/**
 * A body as it comes, no faster than it is taken. Throws OipError 408 where it stops coming, 413 at the first byte beyond
 * `maxBytes`.
 */
export async function* receivePieces(
  request: IncomingMessage,
  maxBytes: number,
  clock: AttentiveClock,
  wholeMs = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void> {
  requireDeclared(request, maxBytes);
  const deadline = clock.now + wholeMs;
  // Not destroyed when refused half-read: the refusal goes out on the same connection.
  const pieces: AsyncIterator<Buffer, void> = request.iterator({ destroyOnReturn: false });
  let length = 0;
  try {
    for (;;) {
      const patienceMs = Math.min(SILENCE_MS, deadline - clock.now);
      const next = await clock.within(patienceMs, pieces.next(), () => stopped(request, length));
      if (next.done) return;
      length += next.value.byteLength;
      if (length > maxBytes) throw tooLarge(maxBytes);
      yield next.value;
    }
  } finally {
    // Not awaited: behind a piece that does not come, it would wait as well.
    pieces.return?.().catch(() => undefined);
  }
}

export function requireDeclared(request: IncomingMessage, maxBytes: number): void {
  if (Number(request.headers['content-length']) > maxBytes) throw tooLarge(maxBytes);
}

export function tooLarge(maxBytes: number): OipError {
  return new OipError(413, `the body is larger than ${maxBytes} bytes`);
}

export function stopped({ headers }: IncomingMessage, length: number): OipError {
  const declared = headers['content-length'] ?? 'its';
  return new OipError(408, `the body stopped coming after ${length} of ${declared} bytes`);
}
