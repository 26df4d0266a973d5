/**
 * A message that breaks the protocol, or a worker's answer that is an error. `status` is the HTTP status it goes by: 4xx
 * where the request or the model is at fault, 502 where a worker's answer could not be read. Asking again changes nothing.
 */
export class OipError extends Error {
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'OipError';
    this.status = status;
  }
}

/** The worker does not hold the model, and cannot: it is the artefact, or where it lies, and no image that is at fault. */
export class ModelLoadError extends OipError {
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(status, message, options);
    this.name = 'ModelLoadError';
  }
}

/**
 * The worker went away before it answered. Inference has no effects, so asking a fresh worker once more is safe; twice is
 * not wise, since the batch itself may be what kills it.
 */
export class WorkerLostError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WorkerLostError';
  }
}
