/** From here on an answer goes into shared memory: below, a copy for a thread costs less than 0.2 ms. */
export const SHARED_FROM_BYTES = 2 ** 20;

/** Pieces of an answer as one, what is large in memory that threads see without a copy. */
export function joinPieces(pieces: readonly Uint8Array[]): Buffer {
  const length = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (length < SHARED_FROM_BYTES) return Buffer.concat(pieces, length);
  const joined = sharedBuffer(length);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.byteLength;
  }
  return joined;
}

export function sharedBuffer(bytes: number): Buffer {
  return Buffer.from(new SharedArrayBuffer(bytes));
}
