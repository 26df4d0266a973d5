import { errorOf, FoveaError, NetworkError, UploadError } from './errors.ts';

export type Token = string | (() => string | Promise<string>);

export interface TransportOptions {
  /** Of the GraphQL endpoint. */
  readonly url: string;
  /** An API key, a client token or an access token; or what answers the present one, asked at each try. */
  readonly token: Token;
  readonly fetch: typeof fetch;
  /** How often a call is made again after the first time. */
  readonly maxRetries: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A document of GraphQL with the types of what goes in and comes out. */
export interface Document<Data, Variables> {
  readonly text: string;
  /** Never there: it carries the types alone. */
  readonly types?: (variables: Variables) => Data;
}

/** Waits between tries where the server names no time: the first of these, then twice that, and so on. */
const firstPauseMs = 200;
const longestPauseMs = 10_000;

/** Whoever is asked to wait longer is told, instead of being kept. */
const longestWaitMs = 60_000;
/** Longer than any request may take by the server's own limits. */
const longestTryMs = 150_000;

/** What passes. Only the first is known to be refused before anything was done: the others may have lost an answer. */
const passing = new Set(['RATE_LIMITED', 'CONCURRENCY_LIMITED', 'OVERLOADED', 'NETWORK_ERROR']);
/** Of an upload: too slow, too many, or a server in trouble. */
const passingStatus = (status: number) => status === 408 || status === 429 || status >= 500;

/** Sends operations to one server, and again where a call failed for the moment and may be made twice. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  get fetch(): typeof fetch {
    return this.#options.fetch;
  }

  /**
   * @param repeatable whether making the call twice does what making it once does: a query, or a mutation with an idempotency key
   * @throws FoveaError, or the signal's reason
   */
  request<Data, Variables>(
    document: Document<Data, Variables>,
    variables: Variables,
    { signal }: CallOptions = {},
    repeatable = isQuery(document.text),
  ): Promise<Data> {
    return this.retrying(() => this.send(document, variables, signal), signal, repeatable);
  }

  /** Makes `call` again while it fails with what passes: after the time that the server names, or longer and longer. */
  async retrying<T>(
    call: () => Promise<T>,
    signal: AbortSignal | undefined,
    repeatable: boolean,
  ): Promise<T> {
    for (let retry = 0; ; retry++) {
      try {
        return await call();
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error, repeatable) || retry >= this.#options.maxRetries) throw error;
        const pauseMs = error.retryAfterMs ?? Math.min(longestPauseMs, firstPauseMs * 2 ** retry);
        if (pauseMs > longestWaitMs) throw error;
        // Up to a quarter more, so that those who were refused together do not come back together.
        await pause(pauseMs * (1 + Math.random() / 4), signal);
      }
    }
  }

  /** One try. */
  send<Data, Variables>(
    { text }: Document<Data, Variables>,
    variables: Variables,
    signal: AbortSignal | undefined,
  ): Promise<Data> {
    return this.#send<Data>(text, variables, signal);
  }

  async #send<Data>(query: string, variables: unknown, signal: AbortSignal | undefined): Promise<Data> {
    const { url, token } = this.#options;
    const credential = typeof token === 'string' ? token : await token();
    const { status, text } = await this.#post(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
      body: JSON.stringify({ query, variables }),
      ...(signal && { signal }),
    });
    const answer = parse<Data>(text);
    if (!answer) throw new NetworkError(`${url} answered ${status} with what is no answer of GraphQL`);
    const requestId = answer.extensions?.requestId ?? null;
    const [error] = answer.errors ?? [];
    if (error) throw errorOf(error, requestId);
    if (answer.data == null) throw new NetworkError(`${url} answered ${status} without data`);
    return answer.data;
  }

  async #post(url: string, init: RequestInit): Promise<{ status: number; text: string }> {
    try {
      const limit = AbortSignal.timeout(longestTryMs);
      const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
      const response = await this.#options.fetch(url, { ...init, signal });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      init.signal?.throwIfAborted();
      throw new NetworkError(`${url} did not answer: ${reasonOf(error)}`, error);
    }
  }
}

function isQuery(text: string): boolean {
  return /^\s*(query\b|\{)/.test(text);
}

function isPassing(error: unknown, repeatable: boolean): error is FoveaError {
  if (error instanceof UploadError) return passingStatus(error.status);
  if (!(error instanceof FoveaError)) return false;
  return repeatable ? passing.has(error.code) : error.code === 'RATE_LIMITED';
}

interface Answer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly { message: string; extensions?: Record<string, unknown> }[];
  readonly extensions?: { readonly requestId?: string };
}

function parse<Data>(text: string): Answer<Data> | null {
  try {
    const answer: unknown = JSON.parse(text);
    const isAnswer =
      typeof answer === 'object' && answer !== null && ('data' in answer || 'errors' in answer);
    return isAnswer ? (answer as Answer<Data>) : null;
  } catch {
    return null; // A proxy's page.
  }
}

/** `fetch` hides what went wrong in the cause of its error. */
export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || message || String(error);
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', aborted, { once: true });
    function done() {
      signal?.removeEventListener('abort', aborted);
      resolve();
    }
    function aborted() {
      clearTimeout(timer);
      reject(signal?.reason);
    }
  });
}
