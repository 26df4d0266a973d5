import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AttentiveClock } from '../attentive-clock.ts';
import type { Answer } from './call.ts';
import { receivePieces, SILENCE_MS } from './receive-pieces.ts';

/**
 * What is left of a refused body is read and thrown away up to here: where a connection ends with something unread, its client
 * may lose the answer.
 */
const DISCARDED_BYTES = 64 * 2 ** 20;
const DISCARDING_MS = 10_000;

/** So much is handed to the system at once, so that a client which reads can be told from one which does not. */
const PART_BYTES = 2 ** 20;

/** Sends an answer; ends the connection of a client that reads nothing of it for 30 s. `isLast`: of its connection. */
export async function sendAnswer(
  { status = 200, headers, chunks }: Answer,
  request: IncomingMessage,
  response: ServerResponse,
  { isLast, clock }: { isLast: boolean; clock: AttentiveClock },
): Promise<void> {
  const unread = request.complete ? 0 : Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  // What is soon read to its end leaves the connection fit for the next request.
  const isEnd = isLast || unread > DISCARDED_BYTES;
  response.writeHead(status, isEnd ? { ...headers, connection: 'close' } : headers);
  for (const part of partsOf(chunks)) {
    if (!(await isTaken(response, clock, (taken) => write(response, part, taken)))) return;
  }
  if (unread > 0) await discard(request, status >= 300, clock);
  if (response.destroyed) return;
  await isTaken(response, clock, (taken) => response.end(taken));
}

/** The same bytes, a megabyte at a time. */
function* partsOf(chunks: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let part: Uint8Array[] = [];
  let room = PART_BYTES;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; ) {
      const piece = chunk.subarray(at, at + room);
      part.push(piece);
      at += piece.byteLength;
      room -= piece.byteLength;
      if (room > 0) continue;
      yield part;
      part = [];
      room = PART_BYTES;
    }
  }
  if (part.length > 0) yield part;
}

function write(response: ServerResponse, part: readonly Uint8Array[], taken: () => void): void {
  response.cork();
  for (const [index, piece] of part.entries())
    response.write(piece, index === part.length - 1 ? taken : undefined);
  response.uncork();
}

/** Whether the system took what `hand` gave it; where it takes none for 30 s, the connection is ended. */
async function isTaken(
  response: ServerResponse,
  clock: AttentiveClock,
  hand: (taken: () => void) => void,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let handedAt = clock.now;
  const unwatch = clock.watch(() => {
    // Behind an answer that its client awaits on the same connection, it is not the client that keeps it waiting.
    if (response.socket === null) handedAt = clock.now;
    else if (clock.now - handedAt > SILENCE_MS) response.destroy();
    if (response.destroyed || response.req.socket.destroyed) resolve();
  });
  try {
    hand(resolve);
    await promise;
  } finally {
    unwatch();
  }
  return !response.destroyed;
}

/** Reads on while the client sends: to the end where the answer is a good one, else for a while, so that it sees the answer. */
async function discard(request: IncomingMessage, isRefused: boolean, clock: AttentiveClock): Promise<void> {
  const pieces = receivePieces(
    request,
    Number.POSITIVE_INFINITY,
    clock,
    isRefused ? DISCARDING_MS : Number.POSITIVE_INFINITY,
  );
  let length = 0;
  try {
    for await (const piece of pieces) {
      length += piece.byteLength;
      if (isRefused && length > DISCARDED_BYTES) return;
    }
  } catch {
    // It broke off or took too long: the connection ends, or is found to be a quiet one.
  }
}
