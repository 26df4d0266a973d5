/**
 * A message that breaks the protocol, or a worker's answer that is an error. `status` is the HTTP status it goes by: 4xx
 * where the request or the model is at fault. Asking again changes nothing.
 */
export class OipError extends Error {
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OipError';
    this.status = status;
  }
}

/**
 * `full`: there is no room for anybody · `tenant`: its tenant has its share of the room · `late`: it could not be done in time.
 */
export type BusyReason = 'full' | 'tenant' | 'late';

/** A `fovea worker` did not run what it might run at another time. Says nothing against it, nor against the request. */
export class BusyError extends OipError {
  readonly reason: BusyReason;
  /** null: asking again is of no use. */
  readonly retryAfterMs: number | null;
  constructor(reason: BusyReason, message: string, retryAfterMs: number | null) {
    super(503, message);
    this.name = 'BusyError';
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The status by which a `fovea worker` says that a model finds no room in its memory. */
export const NO_ROOM = 507;

/** The worker does not hold the model, and cannot: it is the artefact, or where it lies, and no image that is at fault. */
export class ModelLoadError extends OipError {
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(status, message, options);
    this.name = 'ModelLoadError';
  }
}

/**
 * `protocol`: nobody can tell what was answered · `datatype`, `shape`: another tensor than the variant's · `unreadable`:
 * numbers that mean nothing, where another worker's of the same picture do · `too-large` · `redirect` · `tls`: it is not who
 * it should be · `failed`: it could not run what another worker could · `unauthorized`: it does not take our token · `silent`: no answer within the bound.
 */
export type FaultReason =
  | 'protocol'
  | 'datatype'
  | 'shape'
  | 'unreadable'
  | 'too-large'
  | 'redirect'
  | 'tls'
  | 'failed'
  | 'unauthorized'
  | 'silent';

/** The worker answered what neither the request nor the model can be blamed for: another one may do better. */
export class WorkerFaultError extends OipError {
  readonly reason: FaultReason;
  constructor(reason: FaultReason, message: string, options?: ErrorOptions) {
    super(502, message, options);
    this.name = 'WorkerFaultError';
    this.reason = reason;
  }
}

/** A plain no, whatever its status: servers differ in how they say that something is not there. */
export function isNo(error: unknown): error is OipError {
  return error instanceof OipError && !(error instanceof WorkerFaultError || error instanceof BusyError);
}

/**
 * The worker went away before it answered. Inference has no effects, so asking a fresh worker is safe, but not wise for ever,
 * since the batch itself may be what kills it.
 */
export class WorkerLostError extends Error {
  /** It lives, and has no time: nothing that it ran is to blame. */
  readonly isBusy: boolean;
  /** It is known that it crashed or hung: nobody ended it. */
  readonly hasBroken: boolean;
  constructor(
    message: string,
    {
      isBusy = false,
      hasBroken = false,
      ...options
    }: ErrorOptions & { isBusy?: boolean; hasBroken?: boolean } = {},
  ) {
    super(message, options);
    this.name = 'WorkerLostError';
    this.isBusy = isBusy;
    this.hasBroken = hasBroken;
  }
}
