import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import { isPublicAddress } from './address.ts';

/** The URL leads where a client may not send this server. No connection was made. */
export class FetchRefusedError extends Error {
  override readonly name = 'FetchRefusedError';
}

/** The URL may be fetched, and that failed. The message is fit for the client. */
export class FetchFailedError extends Error {
  override readonly name: string = 'FetchFailedError';
}

export class FetchTooLargeError extends FetchFailedError {
  override readonly name = 'FetchTooLargeError';
}

export interface SafeFetchOptions {
  /** Bytes of a body at most. */
  readonly maxBytes?: number;
  /** Of the whole fetch: resolving, connecting, redirects and body together. */
  readonly timeoutMs?: number;
  /** Of all before the body: resolving, connecting and redirects until the head of the last answer. */
  readonly headTimeoutMs?: number;
  readonly maxRedirects?: number;
  /** For tests alone: addresses that stand for the public internet. */
  readonly allow?: (address: string) => boolean;
  /** For tests alone: resolves names in the system's place. */
  readonly lookup?: (hostname: string) => Promise<LookupAddress[]>;
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/**
 * Fetches what strangers name, without lending them this server's place in the network. What is checked is the address that
 * is connected to: names are resolved here, once for each connection, and the socket opens to an address that passed. So neither
 * a second answer of the resolver (DNS rebinding), nor a redirect, nor another spelling of an address gets past. Proxy settings
 * of the environment are not used: a proxy would resolve by itself.
 */
export interface SafeFetch {
  /**
   * The body of a 2xx answer.
   * @throws FetchRefusedError, FetchFailedError (FetchTooLargeError), or the signal's reason once it aborts
   */
  get(url: string, signal?: AbortSignal): Promise<Uint8Array>;
  close(): Promise<void>;
}

export function createSafeFetch(options?: SafeFetchOptions): SafeFetch {
  return new GuardedFetch(options);
}

class GuardedFetch implements SafeFetch {
  readonly #agent: Agent;
  readonly #maxBytes: number;
  readonly #timeoutMs: number;
  readonly #headTimeoutMs: number;
  readonly #maxRedirects: number;

  constructor({
    maxBytes = 20_000_000,
    timeoutMs = 10_000,
    headTimeoutMs = 5_000,
    maxRedirects = 3,
    ...guard
  }: SafeFetchOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#timeoutMs = timeoutMs;
    this.#headTimeoutMs = headTimeoutMs;
    this.#maxRedirects = maxRedirects;
    this.#agent = new Agent({ connect: guardedConnector(guard, headTimeoutMs), allowH2: false });
  }

  async get(url: string, signal?: AbortSignal): Promise<Uint8Array> {
    const whole = AbortSignal.timeout(this.#timeoutMs);
    // A dead host is given up sooner than a slow one: its place is wanted by the pictures that wait.
    const head = new AbortController();
    const timer = setTimeout(() => head.abort(), this.#headTimeoutMs);
    const signals = [whole, head.signal];
    if (signal !== undefined) signals.push(signal);
    try {
      const response = await this.#follow(url, AbortSignal.any(signals));
      clearTimeout(timer);
      return await this.#readBody(response);
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FetchRefusedError || error instanceof FetchFailedError) throw error;
      // What the network said is left out: it would tell a stranger about hosts and ports.
      throw new FetchFailedError(this.#failure(whole.aborted, head.signal.aborted));
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(wasSlow: boolean, wasSilent: boolean): string {
    if (wasSilent) return `The URL did not begin to answer within ${this.#headTimeoutMs / 1000} s.`;
    if (wasSlow) return `The URL did not answer in full within ${this.#timeoutMs / 1000} s.`;
    return 'The URL could not be fetched: its host was not found, refused or broke the connection.';
  }

  async #follow(first: string, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    let url = parseUrl(first);
    for (let redirects = 0; ; redirects++) {
      const asked = request(url, {
        dispatcher: this.#agent,
        signal,
        headers: { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'fovea' },
      });
      const response = await unlessAborted(asked, signal);
      // Destroying a body is reported as an error on it, and one that nobody listens to ends the process.
      response.body.on('error', () => {});
      const location = redirectStatuses.has(response.statusCode) ? response.headers.location : undefined;
      if (typeof location !== 'string') return response;
      response.body.destroy();
      if (redirects === this.#maxRedirects) {
        throw new FetchFailedError(`The URL redirects more than ${this.#maxRedirects} times.`);
      }
      url = parseUrl(location, url);
    }
  }

  async #readBody({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Uint8Array> {
    try {
      if (statusCode < 200 || statusCode > 299) {
        throw new FetchFailedError(`The URL answered with HTTP status ${statusCode}; a picture needs 2xx.`);
      }
      // Nothing is decompressed here, so a small body cannot become a large one.
      const encoding = headers['content-encoding'] ?? 'identity';
      if (encoding !== 'identity') {
        throw new FetchFailedError('The URL answered with a compressed body, which was not asked for.');
      }
      if (Number(headers['content-length'] ?? 0) > this.#maxBytes) throw this.#tooLarge();
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        length += chunk.byteLength;
        if (length > this.#maxBytes) throw this.#tooLarge();
        chunks.push(chunk);
      }
      return Buffer.concat(chunks, length);
    } finally {
      body.destroy();
    }
  }

  #tooLarge(): FetchTooLargeError {
    return new FetchTooLargeError(`The URL's body is larger than ${this.#maxBytes / 1e6} MB.`);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** undici tells of a signal that aborts while it connects only once it has connected, or has given up. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** WHATWG parsing folds every notation of an IPv4 address (decimal, octal, hexadecimal, short) into the dotted one. */
function parseUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  if (url === null) throw new FetchRefusedError('The URL is not valid: give an absolute http or https URL.');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new FetchRefusedError('Only http and https URLs are fetched.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new FetchRefusedError('A URL with a user name or password is not fetched.');
  }
  if (/(^|\.)localhost\.?$/.test(url.hostname)) throw forbiddenAddress();
  return url;
}

function guardedConnector(
  { allow = () => false, lookup = resolveBySystem }: Pick<SafeFetchOptions, 'allow' | 'lookup'>,
  timeout: number,
): buildConnector.connector {
  const isAllowed = (address: string) => isPublicAddress(address) || allow(address);

  /** One forbidden address forbids the name: which of several is connected to is not ours to foresee. */
  const guardedLookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname).then(
      (addresses) => {
        if (!addresses.every(({ address }) => isAllowed(address))) return callback(forbiddenAddress(), []);
        const [first] = addresses;
        if (first === undefined) return callback(new Error('the name has no address'), []);
        if (options.all) return callback(null, addresses);
        callback(null, first.address, first.family);
      },
      (error) => callback(error, []),
    );
  };

  const connect = buildConnector({ lookup: guardedLookup, timeout });
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, '');
    // A literal is connected to without a look-up.
    if (isIP(host) !== 0 && !isAllowed(host)) return callback(forbiddenAddress(), null);
    connect(options, callback);
  };
}

/** getaddrinfo, for what it finds is what connecting would: libuv lets it hold at most half of its threads. */
function resolveBySystem(hostname: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)));
  });
}

/** Names neither the address nor the reason: what a name resolves to inside is nobody's business outside. */
function forbiddenAddress(): FetchRefusedError {
  return new FetchRefusedError('The URL does not lead to a public address.');
}
