const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The bits of a float16 that is nearest to a number, of two the even one. Beyond 65,504 it is infinite. */
export function halfBits(value: number): number {
  float[0] = value;
  const sign = (bits[0]! >>> 16) & 0x8000;
  const magnitude = bits[0]! & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00;
  // 2 ** 16 and above; what lies between that and the largest float16 is carried over below.
  if (magnitude >= 0x4780_0000) return sign | 0x7c00;
  // Below 2 ** -14 there is no exponent any more: a number of steps of 2 ** -24.
  if (magnitude < 0x3880_0000) return sign | roundToEven(Math.abs(float[0]!) * 2 ** 24);
  const rebased = magnitude - 0x3800_0000;
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
