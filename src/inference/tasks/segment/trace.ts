import type { Size } from '../../images/geometry.ts';
import type { Box } from '../../request.ts';
import type { Axis, Span } from './axis.ts';
import type { CellScores, Cells } from './cells.ts';
import { RleWriter } from './rle.ts';

/** One class's pixels. */
export interface TracedSegment {
  readonly index: number;
  readonly pixels: number;
  /** Mean probability of its pixels, each by its nearest cell; null where there are none. */
  readonly score: number | null;
  readonly box: Box;
  readonly rle: string;
}

/**
 * The classes of an original's pixels, in the order of their index: between the cells' centres values are bilinear, and the
 * highest wins. Where a class wins at all four cells around a pixel it wins there too, a convex combination keeping the
 * order: only between cells that differ are classes compared pixel by pixel, and of those only the ones that no other
 * beats at all four. Pixels go column by column straight into each class's runs: no picture of the original's size is made.
 * @param ignored the class that is no segment, or null
 */
export function traceSegments(
  cells: Cells,
  across: Axis,
  down: Axis,
  size: Size,
  ignored: number | null,
): TracedSegment[] {
  const writers = new Writers(size.height, ignored);
  const strip = new Strip(cells, across, down, writers);
  for (const columns of across.spans) {
    strip.layOut(columns);
    for (let x = columns.from; x < columns.to; x++) strip.draw(x);
  }
  return writers.finish(size, cells.scores !== null);
}

/** Of a stretch: its pixels from and to, its candidates from and to (a class alone is one), and the number of its span. */
const STRETCH = 5;

/** The pixels between two columns of cells, cut into stretches from the top to the bottom. */
class Strip {
  readonly #cells: Cells;
  readonly #across: Axis;
  readonly #down: Axis;
  readonly #writers: Writers;
  #columns: Span = { from: 0, to: 0, low: 0, high: 0, upper: 0 };
  readonly #stretches: Int32Array;
  #stretchesEnd = 0;
  /** Classes that can win in a stretch, with their values and probabilities at its corners; NaN: not asked for yet. */
  #candidates = new Int32Array(64);
  #values = new Float64Array(4 * 64);
  #probabilities = new Float64Array(4 * 64);
  #candidatesEnd = 0;
  /** Each class's values at four corners: upper left, upper right, lower left, lower right. */
  readonly #corners: Float64Array;
  /** Of each candidate of a stretch, in one column of pixels: its value at the upper cells and at the lower ones. */
  readonly #top: Float64Array;
  readonly #bottom: Float64Array;

  constructor(cells: Cells, across: Axis, down: Axis, writers: Writers) {
    this.#cells = cells;
    this.#across = across;
    this.#down = down;
    this.#writers = writers;
    this.#stretches = new Int32Array(STRETCH * down.spans.length);
    const classes = cells.scores?.classes ?? 0;
    this.#corners = new Float64Array(4 * classes);
    this.#top = new Float64Array(classes);
    this.#bottom = new Float64Array(classes);
  }

  layOut(columns: Span): void {
    const { width, winners, scores } = this.#cells;
    this.#columns = columns;
    this.#stretchesEnd = 0;
    this.#candidatesEnd = 0;
    this.#down.spans.forEach((rows, span) => {
      const a = rows.low * width + columns.low;
      const b = rows.low * width + columns.high;
      const c = rows.high * width + columns.low;
      const d = rows.high * width + columns.high;
      const winner = winners[a]!;
      // Labels are not interpolated: there the four are one and the same cell.
      if (winner !== winners[b] || winner !== winners[c] || winner !== winners[d]) {
        this.#addMixed(scores!, span, a, b, c, d);
      } else if (winner !== this.#writers.ignored) {
        this.#addPlain(winner, span);
        if (scores) this.#addProbabilities(scores, winner, rows, a, b, c, d);
      }
    });
  }

  draw(x: number): void {
    const stretches = this.#stretches;
    for (let at = 0; at < this.#stretchesEnd; at += STRETCH) {
      const first = stretches[at + 2]!;
      if (stretches[at + 3] === first + 1) {
        this.#writers.add(this.#candidates[first]!, x, stretches[at]!, stretches[at + 1]!);
      } else {
        this.#drawMixed(x, at);
      }
    }
  }

  #addPlain(winner: number, span: number): void {
    const stretches = this.#stretches;
    const before = this.#stretchesEnd - STRETCH;
    const { from, to } = this.#down.spans[span]!;
    // A stretch right above with the same class alone goes on.
    if (
      before >= 0 &&
      stretches[before + 1] === from &&
      stretches[before + 3] === stretches[before + 2]! + 1 &&
      this.#candidates[stretches[before + 2]!] === winner
    ) {
      stretches[before + 1] = to;
      return;
    }
    const first = this.#candidatesEnd;
    this.#makeRoom(1);
    this.#candidates[this.#candidatesEnd++] = winner;
    this.#addStretch(span, first);
  }

  #addProbabilities(
    scores: CellScores,
    index: number,
    rows: Span,
    a: number,
    b: number,
    c: number,
    d: number,
  ): void {
    const right = this.#columns.upper;
    const left = this.#columns.to - this.#columns.from - right;
    const lower = rows.upper;
    const upper = rows.to - rows.from - lower;
    let sum = 0;
    if (left * upper > 0) sum += left * upper * scores.probability(index, a);
    if (right * upper > 0) sum += right * upper * scores.probability(index, b);
    if (left * lower > 0) sum += left * lower * scores.probability(index, c);
    if (right * lower > 0) sum += right * lower * scores.probability(index, d);
    this.#writers.addProbability(index, sum);
  }

  #addMixed(scores: CellScores, span: number, a: number, b: number, c: number, d: number): void {
    const { winners } = this.#cells;
    const corners = this.#corners;
    for (let index = 0; index < scores.classes; index++) {
      corners[4 * index] = scores.value(index, a);
      corners[4 * index + 1] = scores.value(index, b);
      corners[4 * index + 2] = scores.value(index, c);
      corners[4 * index + 3] = scores.value(index, d);
    }
    this.#makeRoom(scores.classes);
    const first = this.#candidatesEnd;
    for (let index = 0; index < scores.classes; index++) {
      if (
        !this.#isBeaten(index, winners[a]!) &&
        !this.#isBeaten(index, winners[b]!) &&
        !this.#isBeaten(index, winners[c]!) &&
        !this.#isBeaten(index, winners[d]!)
      ) {
        this.#addCandidate(index);
      }
    }
    this.#addStretch(span, first);
  }

  #addStretch(span: number, first: number): void {
    const { from, to } = this.#down.spans[span]!;
    const at = this.#stretchesEnd;
    this.#stretches[at] = from;
    this.#stretches[at + 1] = to;
    this.#stretches[at + 2] = first;
    this.#stretches[at + 3] = this.#candidatesEnd;
    this.#stretches[at + 4] = span;
    this.#stretchesEnd = at + STRETCH;
  }

  #addCandidate(index: number): void {
    const place = this.#candidatesEnd++;
    this.#candidates[place] = index;
    for (let corner = 0; corner < 4; corner++) {
      this.#values[4 * place + corner] = this.#corners[4 * index + corner]!;
      this.#probabilities[4 * place + corner] = Number.NaN;
    }
  }

  #makeRoom(candidates: number): void {
    if (this.#candidatesEnd + candidates <= this.#candidates.length) return;
    const room = 2 * (this.#candidatesEnd + candidates);
    const grown = <Data extends Int32Array | Float64Array>(longer: Data, data: Data) => {
      longer.set(data);
      return longer;
    };
    this.#candidates = grown(new Int32Array(room), this.#candidates);
    this.#values = grown(new Float64Array(4 * room), this.#values);
    this.#probabilities = grown(new Float64Array(4 * room), this.#probabilities);
  }

  /** Whether a class loses to another at all four corners. Of equal ones the first wins. */
  #isBeaten(index: number, other: number): boolean {
    if (index === other) return false;
    const corners = this.#corners;
    const [own, its] = [4 * index, 4 * other];
    for (let corner = 0; corner < 4; corner++) {
      const [value, against] = [corners[own + corner]!, corners[its + corner]!];
      if (value > against || (value === against && index < other)) return false;
    }
    return true;
  }

  #drawMixed(x: number, stretch: number): void {
    const from = this.#stretches[stretch]!;
    const to = this.#stretches[stretch + 1]!;
    const first = this.#stretches[stretch + 2]!;
    const end = this.#stretches[stretch + 3]!;
    const span = this.#stretches[stretch + 4]!;
    this.#interpolateColumn(this.#across.share[x]!, first, end);
    const share = this.#down.share;
    let current = this.#bestAt(share[from]!, end - first);
    let start = from;
    this.#countProbability(first + current, x, from, span);
    for (let y = from + 1; y < to; y++) {
      const best = this.#bestAt(share[y]!, end - first);
      this.#countProbability(first + best, x, y, span);
      if (best === current) continue;
      this.#writers.add(this.#candidates[first + current]!, x, start, y);
      current = best;
      start = y;
    }
    this.#writers.add(this.#candidates[first + current]!, x, start, to);
  }

  #interpolateColumn(share: number, first: number, end: number): void {
    const values = this.#values;
    for (let place = first; place < end; place++) {
      const at = 4 * place;
      this.#top[place - first] = values[at]! * (1 - share) + values[at + 1]! * share;
      this.#bottom[place - first] = values[at + 2]! * (1 - share) + values[at + 3]! * share;
    }
  }

  #bestAt(share: number, candidates: number): number {
    const [top, bottom] = [this.#top, this.#bottom];
    let best = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (let place = 0; place < candidates; place++) {
      const value = top[place]! * (1 - share) + bottom[place]! * share;
      if (value > highest) {
        highest = value;
        best = place;
      }
    }
    return best;
  }

  #countProbability(candidate: number, x: number, y: number, span: number): void {
    const index = this.#candidates[candidate]!;
    if (index === this.#writers.ignored) return;
    const right = this.#across.side[x]!;
    const lower = this.#down.side[y]!;
    const at = 4 * candidate + 2 * lower + right;
    let probability = this.#probabilities[at]!;
    if (Number.isNaN(probability)) {
      const row = lower === 0 ? this.#down.spans[span]!.low : this.#down.spans[span]!.high;
      const column = right === 0 ? this.#columns.low : this.#columns.high;
      probability = this.#cells.scores!.probability(index, row * this.#cells.width + column);
      this.#probabilities[at] = probability;
    }
    this.#writers.addProbability(index, probability);
  }
}

/** Gathers what is told of each class. Columns come in order, and each from the top. */
class Writers {
  readonly ignored: number | null;
  readonly #height: number;
  readonly #segments: (SegmentWriter | undefined)[] = [];
  /** Sums over the pixels of each class. */
  readonly #probabilities = new Float64Array(2 ** 16);

  constructor(height: number, ignored: number | null) {
    this.#height = height;
    this.ignored = ignored;
  }

  add(index: number, x: number, from: number, to: number): void {
    if (index === this.ignored) return;
    let segment = this.#segments[index];
    if (segment === undefined) {
      segment = new SegmentWriter(this.#height);
      this.#segments[index] = segment;
    }
    segment.add(x, from, to);
  }

  addProbability(index: number, sum: number): void {
    this.#probabilities[index] = this.#probabilities[index]! + sum;
  }

  finish(size: Size, scored: boolean): TracedSegment[] {
    return Object.entries(this.#segments).map(([key, segment]) => {
      const index = Number(key);
      const { pixels, box, rle } = segment!.finish(size);
      // Sums of ones may end a rounding error above their number.
      const score = scored ? Math.min(1, this.#probabilities[index]! / pixels) : null;
      return { index, pixels, score, box, rle };
    });
  }
}

class SegmentWriter {
  readonly #height: number;
  readonly #rle = new RleWriter();
  #pixels = 0;
  #left = -1;
  #right = -1;
  #top = Number.POSITIVE_INFINITY;
  #bottom = -1;

  constructor(height: number) {
    this.#height = height;
  }

  add(x: number, from: number, to: number): void {
    this.#rle.add(x * this.#height + from, x * this.#height + to);
    this.#pixels += to - from;
    if (this.#left < 0) this.#left = x;
    this.#right = x;
    if (from < this.#top) this.#top = from;
    if (to > this.#bottom) this.#bottom = to;
  }

  finish(size: Size) {
    return {
      pixels: this.#pixels,
      box: {
        x: this.#left,
        y: this.#top,
        width: this.#right + 1 - this.#left,
        height: this.#bottom - this.#top,
      },
      rle: this.#rle.finish(size.width * size.height),
    };
  }
}
