// V8 with pointers of 8 bytes, as Node has them.
const STRING = 24;
const OBJECT = 24;
const ARRAY = 48;
const POINTER = 8;
/** A number that is no small integer is an object of its own. */
const NUMBER = 16;

/**
 * What plain data (objects, arrays, text, numbers, null) takes of the heap, from above: strings that several values share are
 * counted for each, and an array that grew is taken to have all the room that V8 gives it for more.
 */
export function heapBytes(value: unknown): number {
  // UTF-8 is never shorter than what V8 stores.
  if (typeof value === 'string') return STRING + Buffer.byteLength(value);
  if (typeof value === 'number') return Number.isInteger(value) ? 0 : NUMBER;
  if (typeof value !== 'object' || value === null) return 0;
  const isArray = Array.isArray(value);
  let bytes = isArray ? ARRAY + POINTER * Math.ceil(1.5 * value.length + 16) : OBJECT;
  for (const member of Object.values(value)) bytes += (isArray ? 0 : POINTER) + heapBytes(member);
  return bytes;
}
