/** Units to hold for a request before it is served. */
export interface Reservation {
  /** A UUIDv7: its time is when the request occurred, hence its month, day and hour. */
  readonly requestId: string;
  readonly tenantId: string;
  readonly units: number;
  /** Units a month; null: unlimited. */
  readonly limit: number | null;
  /** false: units beyond the limit are admitted too. */
  readonly hardLimit: boolean;
  /** After this the hold is gone, and a commit refused. Longer than the request's own deadline. */
  readonly ttlMs: number;
  readonly idempotency: { readonly key: string; readonly requestHash: Uint8Array } | null;
}

export type ReserveOutcome =
  | { readonly kind: 'admitted' }
  /** `remaining` is what was left when the request's turn came, less than it asked for. */
  | { readonly kind: 'quota-exceeded'; readonly remaining: number; readonly resetsAt: Date }
  /** The key was used for the same input: `answer` is what was given to its commit. */
  | { readonly kind: 'replay'; readonly answer: unknown }
  /** The key was used for other input. */
  | { readonly kind: 'conflict' }
  /** A request with the same key and input is being served right now: wait, and ask again. */
  | { readonly kind: 'in-progress' };

/** What was served to a request that holds units. */
export interface Booking {
  readonly requestId: string;
  readonly tenantId: string;
  readonly apiKeyId: string | null;
  readonly memberId: string | null;
  readonly operation: 'CLASSIFY' | 'DETECT' | 'SEGMENT';
  readonly model: string;
  readonly version: number;
  readonly compression: string;
  /** Images answered, cached ones included. */
  readonly images: number;
  /** Images answered as errors. */
  readonly errors: number;
  readonly cachedImages: number;
  /** At most what is held; the rest goes back. */
  readonly units: number;
  readonly latencyMs: number;
  /** `answer` is JSON, and what a replay of the key returns for 24 hours; null stores none, and frees the key. */
  readonly idempotency: {
    readonly key: string;
    readonly requestHash: Uint8Array;
    readonly answer: unknown;
  } | null;
}

export type CommitOutcome =
  | { readonly kind: 'booked'; readonly used: number; readonly reserved: number; readonly resetsAt: Date }
  /** The hold expired, was released, or was committed before: nothing was booked, so nothing may be answered. */
  | { readonly kind: 'no-hold' };
