/** An error that has a code of the public contract. */
export abstract class CodedError extends Error {
  abstract readonly code: string;

  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** What an error goes by where its message must not: its code of the public contract, else the name of its class. */
export function errorCode(error: unknown): string {
  if (error instanceof CodedError) return error.code;
  return error instanceof Error ? error.name : 'Error';
}

/**
 * The errors a client can be told about. Each class has its public code: `code`, HTTP status and extensions are fixed here, and
 * `src/graphql/plugins/errors.ts` is the one place that turns them into GraphQL errors. Whatever is not a `FoveaError`
 * was not caused by the client: it is masked there and logged with its request id.
 */
export abstract class FoveaError extends CodedError {
  /** The HTTP status of an answer that consists of this error alone. */
  readonly status: number = 200;
  /** What a program may read beside the code, e.g. `retryAfterMs`. */
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor(message: string, extensions: Record<string, unknown> = {}) {
    super(message);
    this.extensions = extensions;
  }
}

export class UnauthenticatedError extends FoveaError {
  readonly code = 'UNAUTHENTICATED';
  override readonly status = 401;
}

export class ForbiddenError extends FoveaError {
  readonly code = 'FORBIDDEN';
  override readonly status = 403;
}

/** A value the contract does not allow: the message names the field and the limit. */
export class BadUserInputError extends FoveaError {
  readonly code = 'BAD_USER_INPUT';
}

export class NotFoundError extends FoveaError {
  readonly code = 'NOT_FOUND';
}

export class QuotaExceededError extends FoveaError {
  readonly code = 'QUOTA_EXCEEDED';
  constructor(message: string, extensions: { remaining: number; resetsAt: string }) {
    super(message, extensions);
  }
}

/**
 * What a flood is refused with. Where it was thrown is of no use to anybody, and to find that out takes longer than all else that
 * such a refusal costs.
 */
abstract class RetryLaterError extends FoveaError {
  constructor(message: string, extensions: { retryAfterMs: number }) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    try {
      super(message, extensions);
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }
}

export class RateLimitedError extends RetryLaterError {
  readonly code = 'RATE_LIMITED';
  override readonly status = 429;
}

export class ConcurrencyLimitedError extends RetryLaterError {
  readonly code = 'CONCURRENCY_LIMITED';
  override readonly status = 503;
}

export class OverloadedError extends RetryLaterError {
  readonly code = 'OVERLOADED';
  override readonly status = 503;
}

export class DeadlineExceededError extends FoveaError {
  readonly code = 'DEADLINE_EXCEEDED';
}

/** The client went away before its answer: nobody is left to read this. */
export class HungUpError extends FoveaError {
  readonly code = 'DEADLINE_EXCEEDED';

  constructor() {
    super('The client hung up.');
  }
}

export class IdempotencyConflictError extends FoveaError {
  readonly code = 'IDEMPOTENCY_CONFLICT';
}

export class QueryTooComplexError extends FoveaError {
  readonly code = 'QUERY_TOO_COMPLEX';
}

/**
 * A mistake of the operator (a setting, a command's argument, a manifest, a directory in use): printed as its message
 * alone, without a stack, and the process exits with `exitCode` (1; 2 for usage and settings).
 */
export class OperatorError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'OperatorError';
    this.exitCode = exitCode;
  }
}
