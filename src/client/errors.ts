/** Whatever a call of the client fails with. `code` is the server's, or one of the two that are the client's own. */
export class FoveaError extends Error {
  /** `extensions.code` of the answer; `NETWORK_ERROR` or `UPLOAD_FAILED` where there is none. */
  readonly code: string;
  /** What the server said beside the code, such as `remaining` of QUOTA_EXCEEDED. */
  readonly extensions: Readonly<Record<string, unknown>>;
  /** For the operator's log; null where no server answered. */
  readonly requestId: string | null;

  constructor(message: string, { code, extensions = {}, requestId = null, cause }: ErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.extensions = extensions;
    this.requestId = requestId;
  }

  /** How long the server asks to wait before the call is made again, milliseconds; null where it does not. */
  get retryAfterMs(): number | null {
    const { retryAfterMs } = this.extensions;
    return typeof retryAfterMs === 'number' ? retryAfterMs : null;
  }
}

export interface ErrorDetails {
  readonly code: string;
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly requestId?: string | null;
  readonly cause?: unknown;
}

export class UnauthenticatedError extends FoveaError {}
export class ForbiddenError extends FoveaError {}
export class BadUserInputError extends FoveaError {}
export class NotFoundError extends FoveaError {}
export class RateLimitedError extends FoveaError {}
export class QuotaExceededError extends FoveaError {}
export class ConcurrencyLimitedError extends FoveaError {}
export class OverloadedError extends FoveaError {}
export class DeadlineExceededError extends FoveaError {}
export class IdempotencyConflictError extends FoveaError {}
export class QueryTooComplexError extends FoveaError {}
export class InternalServerError extends FoveaError {}

/** No answer came, or one that is no answer of a Fovea server. */
export class NetworkError extends FoveaError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'NETWORK_ERROR', cause });
  }
}

/** The server did not take the bytes of a picture. */
export class UploadError extends FoveaError {
  /** Of the answer to the PUT; 415 where the bytes are of no format that is read, and were not sent. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message, { code: 'UPLOAD_FAILED' });
    this.status = status;
  }
}

const classes: Readonly<Record<string, typeof FoveaError>> = {
  UNAUTHENTICATED: UnauthenticatedError,
  FORBIDDEN: ForbiddenError,
  BAD_USER_INPUT: BadUserInputError,
  GRAPHQL_VALIDATION_FAILED: BadUserInputError,
  NOT_FOUND: NotFoundError,
  RATE_LIMITED: RateLimitedError,
  QUOTA_EXCEEDED: QuotaExceededError,
  CONCURRENCY_LIMITED: ConcurrencyLimitedError,
  OVERLOADED: OverloadedError,
  DEADLINE_EXCEEDED: DeadlineExceededError,
  IDEMPOTENCY_CONFLICT: IdempotencyConflictError,
  QUERY_TOO_COMPLEX: QueryTooComplexError,
  INTERNAL_SERVER_ERROR: InternalServerError,
};

/** The error that an entry of a GraphQL answer's `errors` stands for. */
export function errorOf(
  { message, extensions = {} }: { message: string; extensions?: Record<string, unknown> },
  requestId: string | null,
): FoveaError {
  const code = typeof extensions.code === 'string' ? extensions.code : 'INTERNAL_SERVER_ERROR';
  return new (classes[code] ?? FoveaError)(message, { code, extensions, requestId });
}
