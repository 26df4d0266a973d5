import type { Size } from '../../images/geometry.ts';

export interface Cell {
  /** Which of the strides it belongs to. */
  readonly level: number;
  readonly stride: number;
  /** Which of the cell's anchors. */
  readonly anchor: number;
  readonly x: number;
  readonly y: number;
}

/**
 * The feature maps a one-stage detector answers from: stride after stride; within one, anchor after anchor; then row by row.
 *
 * A map has ⌈side / stride⌉ cells a side, which is what padded convolutions of stride 2 leave and what NanoDet computes.
 * YOLOX's demonstration rounds down; that differs only where the sides are no multiples of the strides, and there the map
 * itself, hence its published in-graph decoding, is the larger one.
 */
export class Grid {
  /** Anchors in all. */
  readonly length: number;
  readonly #levels: readonly { stride: number; columns: number; cells: number; anchors: number }[];

  /** @param anchorsPerCell by stride; one where it is left out */
  constructor({ width, height }: Size, strides: readonly number[], anchorsPerCell?: readonly number[]) {
    this.#levels = strides.map((stride, level) => {
      const columns = Math.ceil(width / stride);
      const cells = columns * Math.ceil(height / stride);
      return { stride, columns, cells, anchors: anchorsPerCell?.[level] ?? 1 };
    });
    this.length = this.#levels.reduce((sum, { cells, anchors }) => sum + cells * anchors, 0);
  }

  /** @param index of an anchor, below `length` */
  cell(index: number): Cell {
    let rest = index;
    let level = 0;
    for (const { stride, columns, cells, anchors } of this.#levels) {
      if (rest < cells * anchors) {
        const place = rest % cells;
        return {
          level,
          stride,
          anchor: Math.floor(rest / cells),
          x: place % columns,
          y: Math.floor(place / columns),
        };
      }
      rest -= cells * anchors;
      level++;
    }
    throw new RangeError(`no anchor ${index}: the grid has ${this.length}`);
  }
}
