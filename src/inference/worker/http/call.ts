import type { IncomingHttpHeaders } from 'node:http';
import { jsonMessage, type WireMessage } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import { isRecord } from '../../oip/tensor-entries.ts';

/** A request as endpoints see it. */
export interface Call {
  readonly method: string;
  /** Without its query, which nothing here has. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the answer has been sent, or the client hangs up. */
  readonly signal: AbortSignal;
  /** Bytes that the body may have, as far as its head tells. */
  readonly mostBytes: number;
  /**
   * The body, unpacked. Throws OipError, also where it has more than `maxBytes`. `arrived`: told how many bytes of memory it
   * takes as it comes; what that throws ends it.
   */
  body(maxBytes?: number, arrived?: (bytes: number) => void): Promise<Buffer>;
  /** The body as it comes, of at most so many bytes. Throws OipError. */
  pieces(maxBytes: number): AsyncIterable<Buffer>;
}

/** What describes a request and carries no tensors. */
const MAX_DESCRIPTION_BYTES = 2 ** 20;

export interface Answer extends WireMessage {
  /** 200 where it is left out. */
  readonly status?: number;
}

export function errorAnswer(status: number, error: string, headers: Record<string, string> = {}): Answer {
  const message = jsonMessage({ error });
  return { ...message, headers: { ...message.headers, ...headers }, status };
}

/** The object that a body holds; an empty body holds an empty one. */
export async function readJson(call: Call): Promise<Record<string, unknown>> {
  const body = await call.body(MAX_DESCRIPTION_BYTES);
  if (body.byteLength === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new OipError(400, `the body is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (isRecord(value)) return value;
  throw new OipError(400, 'the body must be a JSON object');
}
