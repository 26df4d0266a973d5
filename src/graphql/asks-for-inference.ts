/** Clients write the document first or last in a request's JSON: what pictures there are stand before or behind it. */
const WINDOW_BYTES = 8_192;
/** A line's end and a tab are two characters in JSON. */
const inferenceField = /(?:\b|\\[nrt])(?:classify|detect|segment)(?:\s|\\[nrt])*\(/;

/**
 * Whether a GraphQL request, as JSON in the pieces in which it came, clearly asks for inference. One that is not parsed yet may do so
 * unnoticed.
 */
export function asksForInference(json: readonly Buffer[]): boolean {
  return [beginOf(json), endOf(json)].some((window) => inferenceField.test(window.toString('latin1')));
}

function beginOf(pieces: readonly Buffer[]): Buffer {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return Buffer.concat(pieces, Math.min(WINDOW_BYTES, length));
}

function endOf(pieces: readonly Buffer[]): Buffer {
  const ends: Buffer[] = [];
  let missing = WINDOW_BYTES;
  for (const piece of pieces.toReversed()) {
    if (missing <= 0) break;
    ends.unshift(piece.subarray(-missing));
    missing -= piece.length;
  }
  return Buffer.concat(ends);
}
