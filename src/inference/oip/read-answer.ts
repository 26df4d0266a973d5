import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { WorkerFaultError } from './errors.ts';
import { GatheredPieces } from './gathered-pieces.ts';
import { joinPieces, SHARED_FROM_BYTES, sharedBuffer } from './join-pieces.ts';
import { MAX_ANSWER_BYTES } from './limits.ts';

/** After so much others have their turn. */
const BREATH_BYTES = 2 ** 20;

/**
 * A response's body. What is large is gathered piece by piece, as it arrives, in memory that threads see without a copy:
 * at one go 22 MB would hold up the event loop for milliseconds.
 * @throws WorkerFaultError where the answer is larger than `maxBytes`, whatever its content-length says
 */
export async function readAnswer(
  { headers, body }: { readonly headers: IncomingHttpHeaders; readonly body: Readable },
  maxBytes = MAX_ANSWER_BYTES,
): Promise<Buffer> {
  const declared = Number(headers['content-length']);
  if (declared > maxBytes) {
    body.destroy();
    throw tooLarge(maxBytes);
  }
  // Only what is declared beforehand can be put in its place at once.
  const gathered = declared >= SHARED_FROM_BYTES ? sharedBuffer(declared) : null;
  const pieces = new GatheredPieces();
  let length = 0;
  let breathedAt = 0;
  for await (const piece of body as AsyncIterable<Uint8Array>) {
    // HTTP holds a body to its content-length.
    if (length + piece.byteLength > maxBytes) throw tooLarge(maxBytes);
    if (gathered) gathered.set(piece, length);
    else pieces.add(piece);
    length += piece.byteLength;
    if (length - breathedAt < BREATH_BYTES) continue;
    // What has arrived already comes without a turn of the event loop in between.
    breathedAt = length;
    await setImmediate();
  }
  return gathered ? gathered.subarray(0, length) : joinPieces(pieces.all);
}

function tooLarge(maxBytes: number): WorkerFaultError {
  return new WorkerFaultError('too-large', `the worker's answer is larger than ${maxBytes} bytes`);
}
