/** Bytes of one request to a worker, at most. */
export const MAX_BODY_BYTES = 64 * 2 ** 20;

/** What the tensors of a request may take of it, beside the JSON that describes them. */
export const MAX_TENSOR_BYTES = MAX_BODY_BYTES - 64 * 2 ** 10;

/** Bytes of a worker's answer, at most: models are imported so that their tensors take no more than a request may. */
export const MAX_ANSWER_BYTES = MAX_BODY_BYTES + 2 ** 20;

/** Bytes of a message's JSON, at most: as JavaScript values its numbers take a multiple of that, and nothing else runs meanwhile. */
export const MAX_JSON_BYTES = 16 * 2 ** 20;

/** Elements of an answer's tensors that are written as JSON, at most. */
export const MAX_JSON_ELEMENTS = 2 ** 23;

/** Tensors of a message, at most. */
export const MAX_TENSORS = 1_024;
