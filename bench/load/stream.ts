/**
 * What one group of clients asks of a server. A generator asks several streams at once (`generator.ts`), each on connections
 * of its own.
 */
export interface Stream {
  /** The server's base URL. */
  readonly url: string;
  /** Where each request is POSTed. */
  readonly path: string;
  readonly reading: Reading;
  /** Bearer credentials, in turn; none: requests go without. */
  readonly keys: readonly string[];
  /** JSON, in turn. */
  readonly bodies: readonly Uint8Array[];
  readonly arrivals: Arrivals;
  /** So many milliseconds after a request was sent its client breaks the connection, unless it was answered before. */
  readonly hangUpAfterMs?: number;
}

/** How an answer is understood: Fovea's GraphQL, or a plain server's where 200 is an answer to one picture. */
export type Reading = 'fovea' | 'plain';

/**
 * Closed: each client asks as soon as it was answered, and so offers no more than it is served. Open: requests come at random
 * moments (a Poisson process), whether those before them were answered or not, as those of a crowd of strangers do.
 */
export type Arrivals =
  | { readonly kind: 'closed'; readonly clients: number }
  | { readonly kind: 'open'; readonly perSecond: number; readonly seed: number };

/** What came of one request. */
export interface Sample {
  /** `ANSWERED`, or why not: the code of the error, `HTTP_<status>`, `NO_CONNECTION`, `HUNG_UP`. */
  readonly outcome: string;
  /**
   * When the request was to be sent, on the clock of `monotonicMs`. Latency counts from here: a generator that is late, or a
   * server that keeps a connection waiting, makes a request slow and not absent (no coordinated omission).
   */
  readonly dueAt: number;
  readonly sentAt: number;
  readonly doneAt: number;
  /** Pictures that were answered; those that failed by themselves are not. */
  readonly images: number;
  /** Of an answer that brings a receipt with timings. */
  readonly receipt: SampledReceipt | null;
}

export interface SampledReceipt {
  /** When the server began, milliseconds since the epoch: the time in the request's id. */
  readonly startedAt: number;
  readonly batchSize: number;
  readonly cachedImages: number;
  readonly units: number;
  readonly totalMs: number;
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly inferenceMs: number;
  readonly postprocessMs: number;
}

/** One clock for all processes of a machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
