/**
 * A mask from COCO's compressed run-length string, written from its description in pycocotools (`rleFrString`): runs of 0 and 1
 * in turn, down the columns; each a variable-length number of 5 bits a character from '0' on, from the third on as the difference
 * to the run before the last. Row by row here, one byte a pixel.
 */
export function maskOf(rle: string, { width, height }: { width: number; height: number }): Uint8Array {
  const mask = new Uint8Array(width * height);
  let place = 0;
  for (const [index, run] of runsOf(rle).entries()) {
    const end = place + run;
    if (end > mask.length) throw new Error(`the runs are longer than ${width} × ${height}`);
    for (; place < end; place++) {
      mask[(place % height) * width + Math.floor(place / height)] = index % 2;
    }
  }
  if (place !== mask.length) throw new Error(`the runs end at ${place} of ${mask.length} pixels`);
  return mask;
}

function runsOf(rle: string): number[] {
  const runs: number[] = [];
  for (let at = 0; at < rle.length; ) {
    let value = 0;
    let bits = 0;
    let more = true;
    while (more) {
      const digit = rle.charCodeAt(at++) - 48;
      value += (digit & 31) * 2 ** bits;
      bits += 5;
      more = (digit & 32) !== 0;
      if (!more && (digit & 16) !== 0) value -= 2 ** bits;
    }
    runs.push(runs.length > 2 ? value + runs.at(-2)! : value);
  }
  return runs;
}
