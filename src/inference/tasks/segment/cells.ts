import { ImageError } from '../../images/image-error.ts';
import { ROUNDING, within01 } from '../probability.ts';

/** What a model says of each cell of its mask. Cells are counted row by row; those outside the picture's part are left out. */
export interface Cells {
  readonly width: number;
  readonly height: number;
  /** The best class by cell: of equal ones the first. */
  readonly winners: Uint16Array;
  /** How classes compare, or null: every pixel takes its nearest cell's class. */
  readonly scores: CellScores | null;
}

export interface CellScores {
  readonly classes: number;
  /** What is interpolated: the class with the highest value wins, of equal ones the first. */
  value(index: number, cell: number): number;
  /** 0..1. */
  probability(index: number, cell: number): number;
}

/** The cells that the picture lies on, the last ones included. */
export interface Part {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** A model's scores: class `c` of cell `i` is at `c · classStride + i · cellStride`. */
export interface ScoreTensor {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
  readonly classes: number;
  readonly classStride: number;
  readonly cellStride: number;
  readonly kind: 'mask-logits' | 'mask-probabilities';
}

const MOST_FLOAT = 3.4028234663852886e38;
/** Where a logit's probability becomes 1 in doubles: the bound of a `minScore` of 1, whose own logit is endless. */
const CERTAIN = 36.74;
const allowed = {
  'mask-logits': { least: -MOST_FLOAT, most: MOST_FLOAT },
  'mask-probabilities': { least: -ROUNDING, most: 1 + ROUNDING },
} as const;

/**
 * @param ignored the class whose probabilities nobody asks for, or null
 * @throws ImageError INFERENCE_FAILED where a score of the picture's part is none
 */
export function scoredCells(tensor: ScoreTensor, part: Part, ignored: number | null): Cells {
  const { data, width, height, classes, classStride, cellStride, kind } = tensor;
  const winners = new Uint16Array(width * height);
  const best = new Float32Array(width);
  const sums = kind === 'mask-logits' ? new Float64Array(width * height) : null;
  const { least, most } = allowed[kind];
  for (let y = part.top; y <= part.bottom; y++) {
    const row = y * width;
    best.fill(Number.NEGATIVE_INFINITY);
    // A row at a time, class by class: so what is read lies together in either layout.
    for (let index = 0; index < classes; index++) {
      const from = index * classStride + row * cellStride;
      for (let x = part.left; x <= part.right; x++) {
        const value = data[from + x * cellStride]!;
        // Written so that NaN is refused too.
        if (!(value >= least && value <= most)) throw unreadable(value, kind);
        if (value > best[x]!) {
          best[x] = value;
          winners[row + x] = index;
        }
      }
    }
    if (sums) addExponentials(tensor, y, part, { winners, best, sums, ignored });
  }
  const value = (index: number, cell: number) => data[index * classStride + cell * cellStride]!;
  const probability = sums ? softmaxOf(tensor, winners, sums) : asProbability(value);
  return { width, height, winners, scores: { classes, value, probability } };
}

/**
 * One channel, the probability of the foreground: it is class 0 where that is at least `minScore`, and the rest is class 1,
 * whose value is the bound.
 * @throws ImageError INFERENCE_FAILED where a score of the picture's part is none
 */
export function foregroundCells(tensor: ScoreTensor, part: Part, minScore: number): Cells {
  const { data, width, height, kind } = tensor;
  const isLogits = kind === 'mask-logits';
  const bound = isLogits ? Math.min(CERTAIN, Math.log(minScore / (1 - minScore))) : minScore;
  const scoreOf = isLogits ? (cell: number) => data[cell]! : (cell: number) => within01(data[cell]!);
  const { least, most } = allowed[kind];
  const winners = new Uint16Array(width * height);
  for (let y = part.top; y <= part.bottom; y++) {
    for (let cell = y * width + part.left; cell <= y * width + part.right; cell++) {
      const value = data[cell]!;
      if (!(value >= least && value <= most)) throw unreadable(value, kind);
      winners[cell] = scoreOf(cell) >= bound ? 0 : 1;
    }
  }
  const value = (index: number, cell: number) => (index === 0 ? scoreOf(cell) : bound);
  const probability = isLogits
    ? (_: number, cell: number) => 1 / (1 + Math.exp(-data[cell]!))
    : (_: number, cell: number) => scoreOf(cell);
  return { width, height, winners, scores: { classes: 2, value, probability } };
}

/**
 * A class index a cell, of whatever type.
 * @throws ImageError INFERENCE_FAILED where an index of the picture's part is none
 */
export function labelledCells(
  data: ArrayLike<number | bigint>,
  { width, height, classes }: { width: number; height: number; classes: number },
  part: Part,
): Cells {
  const winners = new Uint16Array(width * height);
  for (let y = part.top; y <= part.bottom; y++) {
    for (let cell = y * width + part.left; cell <= y * width + part.right; cell++) {
      const index = Number(data[cell]);
      if (!(index >= 0 && index < classes && Number.isInteger(index))) {
        const reason = `the model answered the class ${index} for a pixel, and has the classes 0 to ${classes - 1}`;
        throw new ImageError('INFERENCE_FAILED', reason);
      }
      winners[cell] = index;
    }
  }
  return { width, height, winners, scores: null };
}

/** Sums a row's exponentials, shifted by the maximum, so that none overflows, where the winner is not `ignored`. */
function addExponentials(
  { data, width, classes, classStride, cellStride }: ScoreTensor,
  y: number,
  part: Part,
  to: { winners: Uint16Array; best: Float32Array; sums: Float64Array; ignored: number | null },
): void {
  const { winners, best, sums, ignored } = to;
  const row = y * width;
  for (let index = 0; index < classes; index++) {
    const from = index * classStride + row * cellStride;
    for (let x = part.left; x <= part.right; x++) {
      if (winners[row + x] === ignored) continue;
      sums[row + x] = sums[row + x]! + Math.exp(data[from + x * cellStride]! - best[x]!);
    }
  }
}

/** @param sums by cell; 0: not summed yet, since it is at the edge of a segment alone that such a cell is asked for */
function softmaxOf(
  { data, classes, classStride, cellStride }: ScoreTensor,
  winners: Uint16Array,
  sums: Float64Array,
) {
  return (index: number, cell: number) => {
    const from = cell * cellStride;
    const winner = winners[cell]!;
    const maximum = data[winner * classStride + from]!;
    let sum = sums[cell]!;
    if (sum === 0) {
      const to = from + classes * classStride;
      for (let at = from; at < to; at += classStride) sum += Math.exp(data[at]! - maximum);
      sums[cell] = sum;
    }
    return index === winner ? 1 / sum : Math.exp(data[index * classStride + from]! - maximum) / sum;
  };
}

function asProbability(value: (index: number, cell: number) => number) {
  return (index: number, cell: number) => within01(value(index, cell));
}

function unreadable(value: number, kind: ScoreTensor['kind']): ImageError {
  const expected = kind === 'mask-logits' ? 'no number' : 'no probability';
  return new ImageError('INFERENCE_FAILED', `the model answered ${value} for a pixel, which is ${expected}`);
}
