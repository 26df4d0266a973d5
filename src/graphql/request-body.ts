import type { IncomingMessage } from 'node:http';
import { BadUserInputError, type FoveaError, UnauthenticatedError } from '../lib/errors.ts';
import { requireFewValues } from './json-structure.ts';

/** How much a caller may send, and what is answered to more. */
export interface BodyLimit {
  readonly bytes: number;
  readonly refusal: () => FoveaError;
}

/** The contract's 64 MB, of 10^6 bytes as an image's: two images of the greatest size in base64, or many small ones. */
export function knownCallersLimit(bytes = 64_000_000): BodyLimit {
  return {
    bytes,
    refusal: () =>
      new RefusedBodyError(`The body is larger than ${bytes} bytes, which is the most accepted.`, 413),
  };
}

/** Enough to sign in and to read the schema; whoever sends more has most likely forgotten the credential. */
export const anonymousLimit: BodyLimit = {
  bytes: 64_000,
  refusal: () =>
    new UnauthenticatedError(
      `A body of more than ${anonymousLimit.bytes} bytes needs a credential: send \`Authorization: Bearer <API key or access token>\`.`,
    ),
};

/** A body that is refused as such, with the HTTP status that says why. */
class RefusedBodyError extends BadUserInputError {
  override readonly status: number;
  constructor(message: string, status: 400 | 413 | 415) {
    super(message);
    this.status = status;
  }
}

/** The client hung up before its body was whole: nobody is left to answer. */
export class AbortedBodyError extends Error {}

/**
 * The JSON in a POST's body, in the pieces in which it came; null where there is none to read (another method or content type:
 * Apollo says what it expects then). They are put together once, by `parseJson`, which is a tenth faster than `express.json`: an image in
 * base64 is most of what a request costs here. Throws the limit's refusal, BadUserInputError and AbortedBodyError.
 */
export async function readJsonBody(request: IncomingMessage, limit: BodyLimit): Promise<Buffer[] | null> {
  if (request.method !== 'POST' || !isJson(request.headers['content-type'])) return null;
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new RefusedBodyError(`The body is in the content encoding ${encoding}: send it without one.`, 415);
  }
  return collect(request, limit);
}

/** Throws BadUserInputError. */
export function parseJson(pieces: readonly Buffer[]): unknown {
  const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  requireFewValues(bytes);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new RefusedBodyError('The body is not valid JSON in UTF-8.', 400);
  }
}

function isJson(contentType = ''): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  if (type.trim() !== 'application/json') return false;
  const charset = parameters
    .map((parameter) => parameter.trim())
    .find((parameter) => parameter.startsWith('charset='));
  if (charset === undefined || /^charset="?utf-?8"?$/.test(charset)) return true;
  throw new RefusedBodyError(`The body's ${charset} is not read here: send JSON in UTF-8.`, 415);
}

function collect(request: IncomingMessage, limit: BodyLimit): Promise<Buffer[]> {
  // Refused before a byte is read, where the client says beforehand how much is coming.
  if (Number(request.headers['content-length'] ?? 0) > limit.bytes) return Promise.reject(limit.refusal());

  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit.bytes) chunks.push(chunk);
      else settle(() => reject(limit.refusal()));
    };
    const onEnd = () => settle(() => resolve(chunks));
    const onClose = () =>
      settle(() => reject(new AbortedBodyError('The client hung up while sending its body')));
    const settle = (outcome: () => void) => {
      request.off('data', onData).off('end', onEnd).off('close', onClose);
      outcome();
    };
    request.on('data', onData).on('end', onEnd).on('close', onClose);
    // A connection that breaks says so by an error first; what follows it is `close`.
    request.on('error', () => {});
  });
}

/**
 * Reads what a refused request still sends and throws it away, up to `limit` bytes: a client that is cut off while it writes
 * sees a broken connection instead of the answer. Past the limit it is cut off.
 */
export function discardBody(request: IncomingMessage, limit: number): void {
  let length = 0;
  request.on('error', () => {});
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > limit) request.destroy();
  });
}
