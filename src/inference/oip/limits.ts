/** Bytes of one request to a worker, at most. */
export const MAX_BODY_BYTES = 64 * 2 ** 20;

/** What the tensors of a request may take of it, beside the JSON that describes them. */
export const MAX_TENSOR_BYTES = MAX_BODY_BYTES - 64 * 2 ** 10;
