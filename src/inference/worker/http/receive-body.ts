import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { OipError } from '../../oip/errors.ts';
import { GatheredPieces } from '../../oip/gathered-pieces.ts';
import type { AttentiveClock } from '../attentive-clock.ts';
import { requireDeclared, SILENCE_MS, stopped, tooLarge } from './receive-pieces.ts';

/** How long a whole body may take. */
const WHOLE_MS = 300_000;

/** What a body is depends on its header length alone. curl says it were a form's unless it is told what it sends. */
const contentTypes = new Set([
  '',
  'application/json',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
]);

const unpackers = new Map([
  ['gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
]);

/** Bytes of the body, once unpacked, where its head tells them; else as many as it may have. */
export function mostBytesOf({ headers }: IncomingMessage, maxBytes: number): number {
  const isPlain = headers['content-encoding'] === undefined && headers['transfer-encoding'] === undefined;
  return isPlain ? Math.min(Number(headers['content-length'] ?? 0), maxBytes) : maxBytes;
}

/**
 * A whole body, unpacked where it comes packed; no larger than `maxBytes` either way. `arrived`: see `Call.body`. Throws OipError 413, 408 where it stops
 * coming, 415 for what is not read here, 400 for what is not packed as it says.
 */
export async function receiveBody(
  request: IncomingMessage,
  maxBytes: number,
  clock: AttentiveClock,
  arrived: (bytes: number) => void = () => {},
): Promise<Buffer> {
  requireType(request);
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return gather(request, maxBytes, clock, arrived);
  const unpack = unpackers.get(encoding);
  if (!unpack) {
    const known = [...unpackers.keys()].join(', ');
    throw new OipError(415, `content-encoding: expected ${known} or none, found '${encoding.slice(0, 40)}'`);
  }
  const packed = await gather(request, maxBytes, clock, arrived);
  // How large it is unpacked is known when it is.
  arrived(packed.byteLength + maxBytes);
  return unpack(packed, { maxOutputLength: maxBytes }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw new OipError(413, `the body is larger than ${maxBytes} bytes unpacked`, { cause: error });
    }
    throw new OipError(400, `the body is not ${encoding}: ${error.message}`, { cause: error });
  });
}

function requireType({ headers }: IncomingMessage): void {
  const [type = ''] = (headers['content-type'] ?? '').split(';', 1);
  if (contentTypes.has(type.trim().toLowerCase())) return;
  throw new OipError(
    415,
    `content-type: expected application/json or application/octet-stream, found '${type.slice(0, 80)}'`,
  );
}

/** As fast as it comes: an iterator over its pieces takes one, of 64 KiB, a turn of the event loop. */
function gather(
  request: IncomingMessage,
  maxBytes: number,
  clock: AttentiveClock,
  arrived: (bytes: number) => void,
): Promise<Buffer> {
  requireDeclared(request, maxBytes);
  return new Promise((resolve, reject) => {
    const pieces = new GatheredPieces();
    let length = 0;
    const startedAt = clock.now;
    let heardAt = startedAt;
    const take = (piece: Buffer) => {
      pieces.add(piece);
      length += piece.byteLength;
      heardAt = clock.now;
      try {
        if (length > maxBytes) throw tooLarge(maxBytes);
        arrived(length);
      } catch (error) {
        fail(error as Error);
      }
    };
    const end = () => {
      leave();
      resolve(Buffer.concat(pieces.all, length));
    };
    const breakOff = () => fail(new Error('the client hung up'));
    const fail = (error: Error) => {
      leave();
      request.pause();
      reject(error);
    };
    const unwatch = clock.watch(() => {
      if (clock.now - heardAt > SILENCE_MS || clock.now - startedAt > WHOLE_MS)
        fail(stopped(request, length));
    });
    const leave = () => {
      unwatch();
      request.off('data', take).off('end', end).off('error', breakOff).off('close', breakOff);
    };
    request.once('end', end).once('error', breakOff).once('close', breakOff).on('data', take);
    if (request.destroyed) breakOff();
  });
}
