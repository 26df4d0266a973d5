import { errorOf, type FoveaError, NetworkError } from './errors.ts';

export interface TransportOptions {
  /** Of the GraphQL endpoint. */
  readonly url: string;
  /** An API key, a client token or an access token. */
  readonly token: string;
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

/** What the server refuses for the moment, before it has done any of it. */
const passing = new Set(['RATE_LIMITED', 'CONCURRENCY_LIMITED', 'OVERLOADED', 'NETWORK_ERROR']);

/**
 * Sends operations to one server, and again where a call failed for the moment. A mutation that must not be made twice
 * needs an idempotency key in its variables: an answer may be lost on its way back.
 */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  get fetch(): typeof fetch {
    return this.#options.fetch;
  }

  /** @throws FoveaError, or the signal's reason */
  request<Data, Variables>(
    document: Document<Data, Variables>,
    variables: Variables,
    { signal }: CallOptions = {},
  ): Promise<Data> {
    return this.retrying(() => this.#send<Data>(document.text, variables, signal), signal);
  }

  /** Makes `call` again while it fails with what passes: after the time that the server names, or longer and longer. */
  async retrying<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    for (let retry = 0; ; retry++) {
      try {
        return await call();
      } catch (error) {
        signal?.throwIfAborted();
        const { code, retryAfterMs } = error as FoveaError;
        if (!passing.has(code) || retry >= this.#options.maxRetries) throw error;
        const pauseMs = retryAfterMs ?? Math.min(longestPauseMs, firstPauseMs * 2 ** retry);
        // A quarter more or less, so that those who were refused together do not come back together.
        await pause(pauseMs * (1 + Math.random() / 4), signal);
      }
    }
  }

  async #send<Data>(query: string, variables: unknown, signal: AbortSignal | undefined): Promise<Data> {
    const { url, token } = this.#options;
    const { status, text } = await this.#post(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
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
      const response = await this.#options.fetch(url, init);
      return { status: response.status, text: await response.text() };
    } catch (error) {
      init.signal?.throwIfAborted();
      throw new NetworkError(`${url} did not answer: ${reasonOf(error)}`, error);
    }
  }
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
