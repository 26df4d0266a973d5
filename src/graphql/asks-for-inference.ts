/** Clients write the document first or last in a request's JSON: what pictures there are stand before or behind it. */
const WINDOW_BYTES = 8_192;
/** A line's end and a tab are two characters in JSON. */
const inferenceField = /(?:\b|\\[nrt])(?:classify|detect|segment)(?:\s|\\[nrt])*\(/;

/** Whether a GraphQL request, as JSON, clearly asks for inference. One that is not parsed yet may do so unnoticed. */
export function asksForInference(json: Buffer): boolean {
  return (
    inferenceField.test(json.toString('latin1', 0, WINDOW_BYTES)) ||
    inferenceField.test(json.toString('latin1', Math.max(0, json.length - WINDOW_BYTES)))
  );
}
