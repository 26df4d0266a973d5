import { describe, expect, it } from 'vitest';
import { placeImage, type Size } from '../../../../src/inference/images/geometry.ts';
import { elementsOf } from '../../../../src/inference/oip/elements.ts';
import { decodeRle } from '../../../../src/inference/tasks/segment/rle.ts';
import { type SegmentReading, segment } from '../../../../src/inference/tasks/segment/segment.ts';
import type { DataType, Tensor } from '../../../../src/inference/tensor.ts';
import type { InputGeometry, SegmentOutput } from '../../../../src/inference/variant.ts';

/** The same numbers on every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function tensorOf(datatype: DataType, shape: readonly number[], values: readonly number[]): Tensor {
  const data = new Uint8Array(values.length * 8);
  const elements = elementsOf(datatype, data).subarray(0, values.length);
  values.forEach((value, index) => {
    elements[index] = elements instanceof BigInt64Array ? BigInt(value) : value;
  });
  return { name: 'mask', datatype, shape, data: data.subarray(0, elements.byteLength) };
}

const fill: InputGeometry = {
  ...{ width: 9, height: 7, fit: 'fill', resizeShort: null, align: 'center', pad: 0 },
};
const logits: SegmentOutput = { kind: 'mask-logits', tensor: 'mask', layout: 'NCHW', background: null };

function readingOf(over: Partial<SegmentReading> & { classes?: number }): SegmentReading {
  const labels = Array.from({ length: over.classes ?? 4 }, (_, index) => `class ${index}`);
  return { output: logits, input: fill, original: { width: 9, height: 7 }, minScore: 0, labels, ...over };
}

/** The pixels of a segment, row by row. */
function pixelsOf(rle: string, size: Size): Uint8Array {
  const pixels = new Uint8Array(size.width * size.height);
  let at = 0;
  for (const [index, count] of decodeRle(rle, size).entries()) {
    for (const end = at + count; at < end; at++) {
      pixels[(at % size.height) * size.width + Math.floor(at / size.height)] = index % 2;
    }
  }
  return pixels;
}

/** Class and probability of every pixel, worked out one at a time from the definition; class -1: none. */
function naive(
  value: (channel: number, x: number, y: number) => number,
  mask: Size & { channels: number },
  { input, original, output, minScore }: SegmentReading,
) {
  const { scaleX, scaleY, offsetX, offsetY, resized } = placeImage(original, input);
  const part = {
    left: Math.floor((Math.max(0, offsetX) * mask.width) / input.width),
    right: Math.ceil((Math.min(input.width, offsetX + resized.width) * mask.width) / input.width) - 1,
    top: Math.floor((Math.max(0, offsetY) * mask.height) / input.height),
    bottom: Math.ceil((Math.min(input.height, offsetY + resized.height) * mask.height) / input.height) - 1,
  };
  const between = (least: number, number: number, most: number) => Math.max(least, Math.min(most, number));
  const classes: number[] = [];
  const probabilities: number[] = [];
  for (let y = 0; y < original.height; y++) {
    for (let x = 0; x < original.width; x++) {
      const inX = (x + 0.5) * scaleX + offsetX;
      const inY = (y + 0.5) * scaleY + offsetY;
      if (inX < 0 || inY < 0 || inX >= input.width || inY >= input.height) {
        classes.push(-1);
        probabilities.push(Number.NaN);
        continue;
      }
      const u = between(part.left, (inX * mask.width) / input.width - 0.5, part.right);
      const v = between(part.top, (inY * mask.height) / input.height - 0.5, part.bottom);
      const near = [
        Math.min(part.right, Math.floor(u + 0.5)),
        Math.min(part.bottom, Math.floor(v + 0.5)),
      ] as const;
      const at = (channel: number) => {
        const [x0, y0] = [Math.floor(u), Math.floor(v)];
        const [x1, y1] = [Math.min(x0 + 1, part.right), Math.min(y0 + 1, part.bottom)];
        const [dx, dy] = [u - x0, v - y0];
        const top = value(channel, x0, y0) * (1 - dx) + value(channel, x1, y0) * dx;
        const bottom = value(channel, x0, y1) * (1 - dx) + value(channel, x1, y1) * dx;
        return top * (1 - dy) + bottom * dy;
      };
      const sigmoid = (logit: number) => (output.kind === 'mask-logits' ? 1 / (1 + Math.exp(-logit)) : logit);
      if (output.kind === 'labels') {
        classes.push(value(0, ...near));
        probabilities.push(Number.NaN);
      } else if (mask.channels === 1) {
        classes.push(sigmoid(at(0)) >= minScore ? 0 : -1);
        probabilities.push(sigmoid(value(0, ...near)));
      } else {
        const values = Array.from({ length: mask.channels }, (_, channel) => at(channel));
        const best = values.indexOf(Math.max(...values));
        const nearest = values.map((_, channel) => value(channel, ...near));
        const sum = nearest.reduce((total, logit) => total + Math.exp(logit), 0);
        classes.push(best);
        probabilities.push(output.kind === 'mask-logits' ? Math.exp(nearest[best]!) / sum : nearest[best]!);
      }
    }
  }
  return { classes, probabilities };
}

/** Sees that the segments are what `naive` finds, pixel by pixel. */
function expectAsDefined(tensor: Tensor, mask: Size & { channels: number }, reading: SegmentReading): void {
  const { output, original, labels, minScore } = reading;
  const elements = elementsOf(tensor.datatype, tensor.data);
  const isLast = output.kind !== 'labels' && output.layout === 'NHWC';
  const value = (channel: number, x: number, y: number) =>
    Number(
      elements[
        isLast ? (y * mask.width + x) * mask.channels + channel : (channel * mask.height + y) * mask.width + x
      ],
    );
  const { classes, probabilities } = naive(value, mask, reading);
  const found = segment([tensor], reading);
  const background = output.background;
  const wanted = [...new Set(classes)]
    .sort((a, b) => a - b)
    .filter((index) => index !== -1 && index !== background);
  const scoreOf = (index: number) => {
    const own = probabilities.filter((_, pixel) => classes[pixel] === index);
    return own.reduce((sum, probability) => sum + probability, 0) / own.length;
  };
  const isWanted = (index: number) =>
    mask.channels === 1 || output.kind === 'labels' || scoreOf(index) >= minScore;
  expect(found.map(({ index }) => index)).toEqual(wanted.filter(isWanted));
  for (const { index, label, score, areaFraction, box, rle } of found) {
    const pixels = classes.map((each) => Number(each === index));
    expect(Buffer.compare(pixelsOf(rle, original), Buffer.from(pixels))).toBe(0);
    expect(label).toBe(labels[index]);
    expect(areaFraction).toBe(pixels.filter(Boolean).length / pixels.length);
    const xs = pixels.flatMap((own, pixel) => (own ? [pixel % original.width] : []));
    const ys = pixels.flatMap((own, pixel) => (own ? [Math.floor(pixel / original.width)] : []));
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    expect(box).toEqual({ x, y, width: Math.max(...xs) + 1 - x, height: Math.max(...ys) + 1 - y });
    if (output.kind === 'labels') expect(score).toBeNull();
    else expect(score).toBeCloseTo(scoreOf(index), 9);
  }
}

const geometries: readonly (readonly [name: string, input: InputGeometry])[] = [
  ['fill', { ...fill, width: 33, height: 27 }],
  ['contain, in the middle', { ...fill, width: 33, height: 29, fit: 'contain' }],
  ['contain, top left', { ...fill, width: 31, height: 33, fit: 'contain', align: 'top-left' }],
  ['cover', { ...fill, width: 21, height: 21, fit: 'cover', resizeShort: 25 }],
];
const originals: readonly Size[] = [
  { width: 61, height: 37 },
  { width: 19, height: 83 },
  { width: 33, height: 27 },
  { width: 1, height: 40 },
];
const masks: readonly Size[] = [
  { width: 33, height: 27 },
  { width: 9, height: 7 },
  { width: 1, height: 1 },
];
const cases = geometries.flatMap(([name, input]) =>
  originals.flatMap((original) =>
    masks.map((mask) => ({
      name: `${name}, ${original.width}×${original.height} from ${mask.width}×${mask.height}`,
      ...{ input, original, mask },
    })),
  ),
);

describe('a mask is brought to the size of its original as defined', () => {
  it.each(cases)('$name', ({ input, original, mask }) => {
    const random = numbers(original.width * 1_000 + mask.width);
    const values = (length: number, scale: number) => Array.from({ length }, () => random() * scale);
    const area = mask.width * mask.height;
    for (const layout of ['NCHW', 'NHWC'] as const) {
      const shape = layout === 'NCHW' ? [5, mask.height, mask.width] : [mask.height, mask.width, 5];
      const size = { ...mask, channels: 5 };
      const common = { input, original, classes: 5 };
      const asLogits = tensorOf('FP32', shape, values(5 * area, 20));
      for (const [background, minScore] of [
        [null, 0],
        [0, 0],
        [3, 0.6],
      ] as const) {
        const output = { ...logits, layout, background };
        expectAsDefined(asLogits, size, readingOf({ ...common, output, minScore }));
      }
      const output = { ...logits, kind: 'mask-probabilities' as const, layout, background: 1 };
      expectAsDefined(
        tensorOf('FP32', shape, values(5 * area, 1)),
        size,
        readingOf({ ...common, output, minScore: 0.5 }),
      );
    }
    const one = { ...mask, channels: 1 };
    for (const kind of ['mask-logits', 'mask-probabilities'] as const) {
      const scores = values(area, 1).map((value) => (kind === 'mask-logits' ? value * 8 - 4 : value));
      for (const minScore of [0, 0.3, 0.5, 0.9]) {
        const tensor = tensorOf('FP32', [1, mask.height, mask.width], scores);
        expectAsDefined(
          tensor,
          one,
          readingOf({ input, original, classes: 1, minScore, output: { ...logits, kind } }),
        );
      }
    }
    const indices = values(area, 4).map(Math.floor);
    const output = { kind: 'labels' as const, tensor: 'mask', background: 2 };
    for (const datatype of ['INT64', 'INT32', 'UINT8', 'FP32'] as const) {
      for (const shape of [
        [mask.height, mask.width],
        [1, mask.height, mask.width],
      ]) {
        expectAsDefined(
          tensorOf(datatype, shape, indices),
          one,
          readingOf({ input, original, output, minScore: 0.9 }),
        );
      }
    }
  });
});

describe('regions with one winner', () => {
  it('are the same as if every pixel had been worked out, edges and lesser classes between them included', () => {
    const mask = { width: 12, height: 10, channels: 4 };
    const centres = [
      [0, 0],
      [10, 2],
      [3, 9],
      [11, 9],
    ] as const;
    const values = centres.flatMap(([left, top]) =>
      Array.from({ length: 120 }, (_, cell) => -Math.hypot((cell % 12) - left, Math.floor(cell / 12) - top)),
    );
    const tensor = tensorOf('FP32', [4, 10, 12], values);
    expectAsDefined(tensor, mask, readingOf({ original: { width: 101, height: 77 } }));
  });

  it('go to the first of classes that are equal everywhere', () => {
    const tensor = tensorOf('FP32', [3, 2, 2], [1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1]);
    expectAsDefined(
      tensor,
      { width: 2, height: 2, channels: 3 },
      readingOf({ classes: 3, original: { width: 8, height: 8 } }),
    );
    expect(
      segment([tensor], readingOf({ classes: 3, original: { width: 8, height: 8 } })).map(
        ({ index }) => index,
      ),
    ).toEqual([0, 2]);
  });
});

describe('one channel whose probabilities reach the ends of 0..1', () => {
  const areaOf = (
    kind: 'mask-logits' | 'mask-probabilities',
    values: readonly number[],
    minScore: number,
  ) => {
    const output: SegmentOutput = { ...logits, kind };
    const size = { width: values.length, height: 1 };
    const reading = readingOf({ classes: 1, output, original: size, input: { ...fill, ...size }, minScore });
    const found = segment([tensorOf('FP32', [1, 1, values.length], values)], reading);
    return found.map(({ areaFraction, score }) => [areaFraction, score]);
  };

  it('takes what rounding put below 0 as 0', () => {
    expect(areaOf('mask-probabilities', [-0.0005, 0, -0.0001, 0], 0)).toEqual([[1, 0]]);
  });

  it('takes what rounding put above 1 as 1', () => {
    expect(areaOf('mask-probabilities', [1.0005, 1, 0.9999, 0], 1)).toEqual([[0.5, 1]]);
  });

  it('takes logits whose probability is 1 where that is asked for', () => {
    expect(areaOf('mask-logits', [40, 50, 20, -40], 1)).toEqual([[0.5, 1]]);
    expect(areaOf('mask-logits', [40, 50, 20, -40], 0)).toMatchObject([[1, expect.any(Number)]]);
  });
});

describe('what no mask is', () => {
  const read = (tensor: Tensor, over: Parameters<typeof readingOf>[0] = {}) =>
    segment([tensor], readingOf(over));
  const scores = (length: number, at: number, value: number) => {
    const values = new Array<number>(length).fill(0.5);
    values[at] = value;
    return values;
  };
  const labels: SegmentOutput = { kind: 'labels', tensor: 'mask', background: 0 };

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'a score of %d fails the image',
    (value) => {
      const failure = expect.objectContaining({ code: 'INFERENCE_FAILED' });
      for (const at of [0, 130, 251]) {
        expect(() => read(tensorOf('FP32', [4, 7, 9], scores(252, at, value)))).toThrow(failure);
        const output: SegmentOutput = { ...logits, kind: 'mask-probabilities', layout: 'NHWC' };
        expect(() => read(tensorOf('FP32', [7, 9, 4], scores(252, at, value)), { output })).toThrow(failure);
      }
      const one = tensorOf('FP32', [1, 7, 9], scores(63, 62, value));
      expect(() => read(one, { classes: 1, minScore: 0.5 })).toThrow(failure);
    },
  );

  it('a probability far from 0..1 fails the image', () => {
    const output: SegmentOutput = { ...logits, kind: 'mask-probabilities' };
    expect(() => read(tensorOf('FP32', [4, 7, 9], scores(252, 9, 7)), { output })).toThrow(
      'the model answered 7 for a pixel, which is no probability',
    );
  });

  it.each([4, -1, 1.5, Number.NaN])('a class index of %d, of 0 to 3, fails the image', (value) => {
    expect(() =>
      read(
        tensorOf(
          'FP32',
          [7, 9],
          scores(63, 62, value).map((each) => (each === 0.5 ? 1 : each)),
        ),
        { output: labels },
      ),
    ).toThrow(`the model answered the class ${value} for a pixel, and has the classes 0 to 3`);
  });

  it('padding of the letterbox may hold anything', () => {
    const input: InputGeometry = { ...fill, width: 9, height: 9, fit: 'contain', align: 'top-left' };
    const original = { width: 18, height: 6 };
    const values = Array.from({ length: 4 * 81 }, (_, at) => (at % 81 < 27 ? at % 7 : Number.NaN));
    const tensor = tensorOf('FP32', [4, 9, 9], values);
    expectAsDefined(tensor, { width: 9, height: 9, channels: 4 }, readingOf({ input, original }));
  });

  it.each([
    ['FP32', [3, 7, 9]],
    ['FP32', [63, 4]],
    ['FP32', [1, 4, 7, 9]],
    ['FP32', [4, 0, 9]],
    ['INT32', [4, 7, 9]],
  ] as const)('%s %j is not of four classes', (datatype, shape) => {
    const length = shape.reduce((product: number, each) => product * each, 1);
    expect(() => read(tensorOf(datatype, shape, new Array(length).fill(0)))).toThrow(
      `the model answered a mask of ${datatype} [${shape.join(', ')}], which cannot be read`,
    );
  });
});
