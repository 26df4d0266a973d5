import type { Size } from '../../images/geometry.ts';

/**
 * COCO's compressed run-length encoding, as `rleEncode`, `rleToString` and `rleFrString` of pycocotools' maskApi.c define it:
 * the lengths of runs of zeros and ones in turn, zeros first, down the columns. From the fourth on each is written as its
 * difference to the one but one before, in groups of five bits, the lowest first: a sixth bit says that another group
 * follows, and 48 is added to make it a printable character.
 */
const GROUP_BITS = 5;
const GROUP = 0x1f;
const SIGN = 0x10;
const MORE = 0x20;
const FIRST_CHARACTER = 48;

/** Writes a mask from its runs of ones. Positions are `x · height + y`. */
export class RleWriter {
  #text = new Uint8Array(64);
  #length = 0;
  #counts = 0;
  /** The two counts written last, the older one first. */
  #older = 0;
  #newer = 0;
  #writtenTo = 0;
  /** The run that may still grow. */
  #from = 0;
  #to = 0;

  /** Ones from `from` to before `to`, which is more; not before the end of the run added last. */
  add(from: number, to: number): void {
    if (from !== this.#to || this.#to === 0) {
      this.#writeRun();
      this.#from = from;
    }
    this.#to = to;
  }

  /** @param area pixels of the mask */
  finish(area: number): string {
    this.#writeRun();
    if (this.#writtenTo < area) this.#write(area - this.#writtenTo);
    return Buffer.from(this.#text.buffer, 0, this.#length).toString('latin1');
  }

  #writeRun(): void {
    if (this.#to === this.#writtenTo) return;
    this.#write(this.#from - this.#writtenTo);
    this.#write(this.#to - this.#from);
    this.#writtenTo = this.#to;
  }

  #write(count: number): void {
    // A 32-bit number takes seven groups.
    if (this.#length + 7 > this.#text.length) {
      const longer = new Uint8Array(2 * this.#text.length);
      longer.set(this.#text);
      this.#text = longer;
    }
    let rest = this.#counts > 2 ? count - this.#older : count;
    let more = true;
    while (more) {
      const group = rest & GROUP;
      rest >>= GROUP_BITS;
      more = (group & SIGN) === 0 ? rest !== 0 : rest !== -1;
      this.#text[this.#length++] = FIRST_CHARACTER + (more ? group | MORE : group);
    }
    this.#counts += 1;
    this.#older = this.#newer;
    this.#newer = count;
  }
}

/**
 * @returns the lengths of the runs of zeros and ones in turn, zeros first
 * @throws RangeError where `rle` is no mask of that size
 */
export function decodeRle(rle: string, { width, height }: Size): Uint32Array {
  const counts = new Uint32Array(rle.length);
  let length = 0;
  let sum = 0;
  for (let at = 0; at < rle.length; ) {
    let count = 0;
    let shift = 0;
    let group: number;
    do {
      group = rle.charCodeAt(at++) - FIRST_CHARACTER;
      // No end within the text or 32 bits: not a number either, which the comparison refuses as well.
      if (!(group >= 0 && group < 2 * MORE && shift < 32)) throw notOfSize(width, height);
      count |= (group & GROUP) << shift;
      shift += GROUP_BITS;
    } while (group & MORE);
    if (group & SIGN && shift < 32) count |= -1 << shift;
    if (length > 2) count += counts[length - 2]!;
    if (count < 0) throw notOfSize(width, height);
    counts[length++] = count;
    sum += count;
  }
  if (sum !== width * height) throw notOfSize(width, height);
  return counts.subarray(0, length);
}

function notOfSize(width: number, height: number): RangeError {
  return new RangeError(`expected the run-length encoding of a mask of ${width} × ${height} pixels`);
}
