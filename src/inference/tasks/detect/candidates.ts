import type { Corners, Size } from '../../images/geometry.ts';
import { ImageError } from '../../images/image-error.ts';
import { elementsOf } from '../../oip/elements.ts';
import type { Tensor } from '../../tensor.ts';
import { noProbability, ROUNDING, within01 } from '../probability.ts';

/**
 * What a head makes of its tensors: one object an anchor (or row), as that anchor's best class. Scores come for all anchors
 * in flat arrays; boxes, of which few are asked for, are decoded when they are.
 */
export interface Candidates {
  /** 0..1, or `NONE` where the row proposes nothing. */
  readonly scores: Float32Array;
  /** The label's index. */
  readonly classes: Int32Array;
  /** An anchor's box, in pixels of the model's input: as the model said it, so perhaps outside, empty or not finite. */
  box(anchor: number): Corners;
}

/** Below every `minScore`. */
export const NONE = -1;

/** What a head needs to know beside its tensors. */
export interface Frame {
  /** The model's input. */
  readonly input: Size;
  /** How many labels there are. */
  readonly classes: number;
}

/** A tensor's elements as rows of `columns`; leading axes are all counted as rows. */
export function matrixOf(tensor: Tensor, columns: number): { rows: number; data: Float32Array } {
  const { name, shape } = tensor;
  if (shape.at(-1) !== columns) throw unexpectedShape(name, shape, `[…, ${columns}]`);
  const data = floatsOf(tensor);
  return { rows: data.length / columns, data };
}

/** @throws ImageError INFERENCE_FAILED where they are of another type */
export function floatsOf({ name, datatype, data }: Tensor): Float32Array {
  if (datatype === 'FP32') return elementsOf('FP32', data);
  throw new ImageError(
    'INFERENCE_FAILED',
    `the model answered '${name}' of ${datatype} for this image where FP32 was expected`,
  );
}

export function unexpectedShape(name: string, shape: readonly number[], expected: string): ImageError {
  return new ImageError(
    'INFERENCE_FAILED',
    `the model answered '${name}' of shape [${shape.join(', ')}] for this image where ${expected} was expected`,
  );
}

/** Where a tensor keeps its class scores: anchor a's class c is the element `first + a · anchorStep + c · classStep`. */
export interface ScoreLayout {
  readonly anchors: number;
  readonly classes: number;
  readonly first: number;
  readonly anchorStep: number;
  readonly classStep: number;
  /** The column that is no object. */
  readonly background?: number | null;
  /** Scores are logits, so any number; else they are probabilities. */
  readonly logits?: boolean;
}

/**
 * Every anchor's best class and its score; the first of equal ones, and `NONE` where there is no class but the background.
 * Reads every score once, so that none that is broken goes unseen, and allocates nothing an anchor.
 * @throws ImageError INFERENCE_FAILED where a score is no number or no probability
 */
export function bestClasses(data: Float32Array, layout: ScoreLayout): Pick<Candidates, 'scores' | 'classes'> {
  const { anchors, first, anchorStep, classStep, background = null, logits = false } = layout;
  const lowest = logits ? Number.NEGATIVE_INFINITY : -ROUNDING;
  const highest = logits ? Number.POSITIVE_INFINITY : 1 + ROUNDING;
  const scores = new Float32Array(anchors);
  const classes = new Int32Array(anchors);
  for (let anchor = 0; anchor < anchors; anchor++) {
    let best = Number.NEGATIVE_INFINITY;
    let bestClass = 0;
    let at = first + anchor * anchorStep;
    for (let index = 0; index < layout.classes; index++, at += classStep) {
      const score = data[at]!;
      // Written so that NaN is refused too.
      if (!(score >= lowest && score <= highest)) throw noProbability(score);
      if (score > best && index !== background) {
        best = score;
        bestClass = index;
      }
    }
    scores[anchor] = logits ? best : best < lowest ? NONE : within01(best);
    classes[anchor] = bestClass;
  }
  return { scores, classes };
}

/** A box by its centre and size, as most heads say it. */
export function aroundCentre(cx: number, cy: number, width: number, height: number): Corners {
  return { x1: cx - width / 2, y1: cy - height / 2, x2: cx + width / 2, y2: cy + height / 2 };
}

/** A box of shares of the model's input, in its pixels. */
export function inPixels({ x1, y1, x2, y2 }: Corners, { width, height }: Size): Corners {
  return { x1: x1 * width, y1: y1 * height, x2: x2 * width, y2: y2 * height };
}
