import type { IncomingMessage } from 'node:http';
import { Readable, type Transform } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { OipError } from '../../oip/errors.ts';
import type { AttentiveClock } from '../attentive-clock.ts';

/** How long a client may send nothing in the midst of a body. */
const SILENCE_MS = 30_000;
/** How long it may take for a body that is gathered in memory. */
const GATHERED_MS = 300_000;

/** A body as it comes. Throws OipError 408 where it stops coming, 413 at the first byte beyond `maxBytes`. */
export async function* receivePieces(
  request: IncomingMessage,
  maxBytes: number,
  clock: AttentiveClock,
  wholeMs = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void> {
  const tooLarge = () => new OipError(413, `the body is larger than ${maxBytes} bytes`);
  if (Number(request.headers['content-length']) > maxBytes) throw tooLarge();
  const deadline = clock.now + wholeMs;
  // Not destroyed when refused half-read: the refusal goes out on the same connection.
  const pieces: AsyncIterator<Buffer, void> = request.iterator({ destroyOnReturn: false });
  let length = 0;
  try {
    for (;;) {
      const next = await clock.within(Math.min(SILENCE_MS, deadline - clock.now), pieces.next(), () => {
        const declared = request.headers['content-length'];
        return new OipError(408, `the body stopped coming after ${length} of ${declared ?? 'its'} bytes`);
      });
      if (next.done) return;
      length += next.value.byteLength;
      if (length > maxBytes) throw tooLarge();
      yield next.value;
    }
  } finally {
    // Not awaited: behind a piece that does not come, it would wait as well.
    pieces.return?.().catch(() => undefined);
  }
}

/** Bytes of the body, once unpacked, where its head tells them; else as many as it may have. */
export function mostBytesOf({ headers }: IncomingMessage, maxBytes: number): number {
  const isPlain = headers['content-encoding'] === undefined && headers['transfer-encoding'] === undefined;
  return isPlain ? Math.min(Number(headers['content-length'] ?? 0), maxBytes) : maxBytes;
}

/** A whole body, unpacked where it comes packed; no larger than `maxBytes` either way. Throws OipError as above, 400 or 415. */
export async function receiveBody(
  request: IncomingMessage,
  maxBytes: number,
  clock: AttentiveClock,
): Promise<Buffer> {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1);
  if (!contentTypes.includes(type.trim().toLowerCase())) {
    throw new OipError(
      415,
      `content-type: expected application/json or application/octet-stream, found '${type.slice(0, 80)}'`,
    );
  }
  const pieces = receivePieces(request, maxBytes, clock, GATHERED_MS);
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return gather(pieces, maxBytes);
  const unpacking = unpackers[encoding]?.();
  if (!unpacking) {
    const known = Object.keys(unpackers).join(', ');
    throw new OipError(415, `content-encoding: expected ${known} or none, found '${encoding.slice(0, 40)}'`);
  }
  let refusal: unknown;
  const source = Readable.from(pieces).once('error', (error) => {
    refusal = error;
    unpacking.destroy(error);
  });
  try {
    return await gather(source.pipe(unpacking), maxBytes);
  } catch (error) {
    if (error instanceof OipError || refusal !== undefined) throw error;
    throw new OipError(400, `the body is not ${encoding}: ${(error as Error).message}`, { cause: error });
  } finally {
    source.destroy();
    unpacking.destroy();
  }
}

/** What a body is depends on its header length alone. curl says it were a form's unless it is told what it sends. */
const contentTypes = [
  '',
  'application/json',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
];

const unpackers: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  deflate: createInflate,
};

async function gather(pieces: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const gathered: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    length += piece.byteLength;
    if (length > maxBytes) throw new OipError(413, `the body is larger than ${maxBytes} bytes unpacked`);
    gathered.push(piece);
  }
  return Buffer.concat(gathered, length);
}
