import type { IncomingHttpHeaders } from 'node:http';
import { isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import tls from 'node:tls';
import { Pool } from 'undici';
import { busyErrorFrom } from './busy.ts';
import type { WireMessage } from './codec.ts';
import { OipError, WorkerFaultError, WorkerLostError } from './errors.ts';
import { MAX_ANSWER_BYTES } from './limits.ts';
import { readAnswer } from './read-answer.ts';
import { isRecord } from './tensor-entries.ts';

/** Where a server listens: a Unix socket, or an HTTP address such as `http://gpu-1:8000`. */
export type HttpTarget = { readonly socketPath: string } | RemoteTarget;

export interface RemoteTarget {
  /** May have a path, below which the server is. */
  readonly baseUrl: string;
  /** The address to connect to in the place of those that the URL's name resolves to; TLS still wants that name. */
  readonly address?: string;
  /** Sent as a bearer token with every request. */
  readonly token?: string | null;
  /** The setting that it comes from, for who reads messages; FOVEA_WORKER_TOKEN. */
  readonly tokenSetting?: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** Below the base URL. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: Readable;
  readonly signal?: AbortSignal | undefined;
  /** Of the answer's body at most. */
  readonly maxBytes?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Why a certificate or a handshake is refused: OpenSSL's words for it, Node's, and what plain HTTP on such a port looks like. */
const TLS_FAILURE =
  /^(CERT_|ERR_TLS_|ERR_SSL_|EPROTO$|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/;
/** What is not HTTP. One that ends too early has been killed, rather. */
const NOT_HTTP = /^(HPE_(?!INVALID_EOF_STATE|CLOSED_CONNECTION)|UND_ERR_HEADERS_OVERFLOW)/;

/** Of an answer that is an error, and of what is made of it for the log. */
const MAX_ERROR_BYTES = 2 ** 20;
const MAX_ERROR_CHARACTERS = 2_000;

/**
 * Whose turn it is a shared worker decides, by weight and deadline, of what has come to it: what is beyond these waits here, in the
 * order of its coming. A quarter of what a `fovea worker` takes at once, since other API processes use it too, and since it takes no
 * more than so many bytes either.
 */
const MOST_CONNECTIONS = 128;

/** Connections to one server. Nothing is retried, and no redirect is followed: what is sent is for that server alone. */
export class HttpConnections {
  readonly #pool: Pool;
  readonly #basePath: string;
  readonly #token: string | null;
  readonly #tokenSetting: string;

  constructor(target: HttpTarget) {
    const socketPath = 'socketPath' in target ? target.socketPath : undefined;
    const remote: RemoteTarget = 'baseUrl' in target ? target : { baseUrl: 'http://worker' };
    const url = new URL(remote.baseUrl);
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#tokenSetting = remote.tokenSetting ?? 'FOVEA_WORKER_TOKEN';
    this.#token = remote.token ?? null;
    this.#pool = new Pool(url.origin, {
      ...(socketPath !== undefined && { socketPath }),
      connect: {
        ...(remote.address !== undefined && { lookup: alwaysTo(remote.address) }),
        ...(url.protocol === 'https:' && { ca: certificateAuthorities() }),
      },
      allowH2: false,
      connections: MOST_CONNECTIONS,
      // A worker is silent while it computes. How long that may take is the caller's signal to say.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /**
   * The answer, whatever its status, but a redirect.
   *
   * @throws WorkerFaultError, WorkerLostError where no answer came, the signal's reason once it is aborted
   */
  async exchange({ method, path, headers, body, signal, maxBytes }: HttpRequest): Promise<HttpAnswer> {
    try {
      const response = await this.#pool.request({
        method,
        path: this.#basePath + path,
        headers: { ...headers, ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }) },
        ...(body && { body }),
        ...(signal && { signal }),
      });
      const { statusCode: status } = response;
      // HEAD has no body, whatever its length says.
      const isGood = status >= 200 && status < 300;
      const limit = isGood ? maxBytes : MAX_ERROR_BYTES;
      const answered = method === 'HEAD' ? Buffer.alloc(0) : await readAnswer(response, limit);
      if (method === 'HEAD') await response.body.dump();
      if (status >= 300 && status < 400) throw redirected(status, response.headers.location);
      return { status, headers: response.headers, body: answered };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof OipError) throw error;
      throw failureOf(error as NodeJS.ErrnoException, `${method} ${path}`);
    }
  }

  /** The answer, where it is a good one. Throws OipError with the server's status and words where it is not. */
  async call(request: HttpRequest): Promise<HttpAnswer> {
    const answer = await this.exchange(request);
    const { status, body } = answer;
    if (status >= 200 && status < 300) return answer;
    if (status === 401 || status === 403) throw this.#unauthorized(status);
    const message = errorText(body) ?? `the worker answered ${status} to ${request.path}`;
    throw busyErrorFrom(status, answer.headers, message) ?? new OipError(status, message);
  }

  /** Sends a message and waits for a good answer. */
  send(
    path: string,
    { headers, chunks }: WireMessage,
    { signal, maxBytes = MAX_ANSWER_BYTES }: { signal?: AbortSignal | undefined; maxBytes?: number } = {},
  ): Promise<HttpAnswer> {
    // A stream of the pieces: joining them would copy the pixels.
    const body = Readable.from(chunks, { objectMode: false });
    return this.call({ method: 'POST', path, headers, body, signal, maxBytes });
  }

  /** Ends every connection; calls in flight reject with WorkerLostError. */
  close(): Promise<void> {
    return this.#pool.destroy();
  }

  #unauthorized(status: number): WorkerFaultError {
    const what =
      this.#token === null
        ? `${this.#tokenSetting} is not set, and the server wants a token`
        : `${this.#tokenSetting} is not the token that the server takes`;
    return new WorkerFaultError('unauthorized', `${what} (it answered ${status})`);
  }
}

/** For `net.connect`, which asks for one address or for all. */
function alwaysTo(address: string): LookupFunction {
  const family = isIP(address);
  return (_, { all }, callback) => {
    if (all) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
}

let authorities: string[] | undefined;

/** Node's own, those of NODE_EXTRA_CA_CERTS, and the system's, where an operator puts those of the house. */
export function certificateAuthorities(): string[] {
  authorities ??= [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')])];
  return authorities;
}

function redirected(status: number, location: string | string[] | undefined): WorkerFaultError {
  // The host alone: the rest may carry a credential.
  const host = URL.parse(String(location ?? ''))?.host;
  const where = host ? `to ${host}` : 'to another path of its own, or nowhere';
  return new WorkerFaultError('redirect', `the worker redirects ${where} (${status}): that is not followed`);
}

function failureOf(error: NodeJS.ErrnoException, asked: string): Error {
  const { code = '', message } = error;
  if (TLS_FAILURE.test(code)) {
    return new WorkerFaultError('tls', `the worker's TLS is refused: ${message} (${code})`, { cause: error });
  }
  if (NOT_HTTP.test(code)) {
    return new WorkerFaultError('protocol', `the worker's answer to ${asked} is not HTTP: ${message}`, {
      cause: error,
    });
  }
  return new WorkerLostError(`the worker did not answer ${asked}: ${message}`, { cause: error });
}

/** What an error's body says, by the protocol's `error`; null: nothing that could be read. */
export function errorText(body: Buffer): string | null {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    if (!isRecord(answer) || typeof answer.error !== 'string') return null;
    return answer.error.slice(0, MAX_ERROR_CHARACTERS);
  } catch {
    return null; // A proxy's page, or nothing at all: the status has to do.
  }
}
