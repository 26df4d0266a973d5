import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import type { Preprocessing } from '../../../src/inference/preprocessing.ts';
import { describeGraph } from '../../../src/models/onnx/describe.ts';
import { readModel, writeModel } from '../../../src/models/onnx/model-file.ts';
import { wrapInput } from '../../../src/models/onnx/wrap-input.ts';
import { type TinyClassifier, tinyClassifier, tinyWeights } from '../tiny-classifier.ts';

const height = 3;
const width = 5;
const classes = 4;
const plain = { scale: 1, mean: [0, 0, 0], std: [1, 1, 1] };
const imagenet = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const even = { scale: 1 / 127.5, mean: [1, 1, 1], std: [1, 1, 1] };

/** Bytes of `batch` pictures that differ in every place. */
function pictures(batch: number): Uint8Array {
  return Uint8Array.from({ length: batch * height * width * 3 }, (_, index) => (index * 73 + 11) % 256);
}

/** What the manifest's formula makes of the pictures, multiplied by the graph's weights: no ONNX involved. */
function expectedScores(bytes: Uint8Array, { layout, color, scale, mean, std }: Preprocessing): number[][] {
  const channels = mean.length;
  const weights = tinyWeights(channels * height * width, classes);
  const scores: number[][] = [];
  for (let start = 0; start < bytes.length; start += height * width * 3) {
    const row = new Array<number>(classes).fill(0);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [r, g, b] = bytes.subarray(start + (y * width + x) * 3);
        const levels = { RGB: [r!, g!, b!], BGR: [b!, g!, r!], GRAY: [0.299 * r! + 0.587 * g! + 0.114 * b!] }[
          color
        ];
        for (const [c, level] of levels.entries()) {
          const at = layout === 'NCHW' ? (c * height + y) * width + x : (y * width + x) * channels + c;
          const value = (level * scale - mean[c]!) / std[c]!;
          for (let k = 0; k < classes; k++) row[k]! += value * weights[at * classes + k]!;
        }
      }
    }
    scores.push(row);
  }
  return scores;
}

function graph(
  layout: 'NCHW' | 'NHWC',
  channels: number,
  wish: Partial<TinyClassifier> = {},
): TinyClassifier {
  const shape = layout === 'NCHW' ? ['N', channels, height, width] : ['N', height, width, channels];
  return {
    opset: 13,
    irVersion: 8,
    input: { name: 'input', type: 'FLOAT', shape },
    output: { name: 'scores', shape: ['N', classes] },
    size: channels * height * width,
    classes,
    head: 'none',
    ...wish,
  };
}

function wrap(file: Uint8Array, preprocessing: Preprocessing) {
  const model = readModel(file);
  const name = wrapInput(model, describeGraph(model).inputs[0]!, preprocessing);
  return { name, model, bytes: writeModel(model) };
}

async function run(
  graphBytes: Uint8Array,
  input: string,
  bytes: Uint8Array,
  batch: number,
): Promise<number[][]> {
  const session = await InferenceSession.create(graphBytes, { logSeverityLevel: 3 });
  try {
    const { scores } = await session.run({ [input]: new Tensor('uint8', bytes, [batch, height, width, 3]) });
    const flat = [...(scores!.data as Float32Array)];
    return Array.from({ length: batch }, (_, row) => flat.slice(row * classes, (row + 1) * classes));
  } finally {
    await session.release();
  }
}

function expectClose(found: number[][], wanted: number[][]) {
  expect(found).toHaveLength(wanted.length);
  for (const [row, scores] of wanted.entries()) {
    for (const [k, score] of scores.entries()) expect(found[row]![k]).toBeCloseTo(score, 4);
  }
}

describe('a wrapped graph answers to pixels as the original does to what the manifest makes of them', () => {
  for (const layout of ['NCHW', 'NHWC'] as const) {
    for (const color of ['RGB', 'BGR', 'GRAY'] as const) {
      for (const [name, scaling] of Object.entries({ plain, imagenet, even })) {
        it(`${layout} ${color}, ${name} scaling`, async () => {
          const channels = color === 'GRAY' ? 1 : 3;
          const { scale, mean, std } = scaling;
          const preprocessing = {
            layout,
            width,
            height,
            color,
            scale,
            mean: mean.slice(0, channels),
            std: std.slice(0, channels),
          };
          const wrapped = wrap(tinyClassifier(graph(layout, channels)), preprocessing);
          for (const batch of [1, 3]) {
            const bytes = pictures(batch);
            expectClose(
              await run(wrapped.bytes, wrapped.name, bytes, batch),
              expectedScores(bytes, preprocessing),
            );
          }
        });
      }
    }
  }

  it.each([
    [7, 3],
    [7, 4],
    [11, 6],
    [18, 8],
    [23, 11],
  ])('at opset %i, IR version %i', async (opset, irVersion) => {
    const preprocessing = { layout: 'NCHW', width, height, color: 'BGR', ...imagenet } as const;
    const wrapped = wrap(tinyClassifier(graph('NCHW', 3, { opset, irVersion })), preprocessing);
    const bytes = pictures(2);
    expectClose(await run(wrapped.bytes, wrapped.name, bytes, 2), expectedScores(bytes, preprocessing));
  });

  it.each([
    ['NCHW', 'RGB'],
    ['NHWC', 'BGR'],
    ['NCHW', 'BGR'],
  ] as const)('bytes of another order: uint8 %s %s', async (layout, color) => {
    const preprocessing = { layout, width, height, color, ...plain };
    const { input } = graph(layout, 3);
    const file = tinyClassifier(graph(layout, 3, { input: { ...input, type: 'UINT8' } }));
    const wrapped = wrap(file, preprocessing);
    const bytes = pictures(2);
    expectClose(await run(wrapped.bytes, wrapped.name, bytes, 2), expectedScores(bytes, preprocessing));
  });

  it('grey bytes, rounded to the nearest level', async () => {
    const preprocessing = {
      layout: 'NHWC',
      width,
      height,
      color: 'GRAY',
      scale: 1,
      mean: [0],
      std: [1],
    } as const;
    const { input } = graph('NHWC', 1);
    const wrapped = wrap(
      tinyClassifier(graph('NHWC', 1, { input: { ...input, type: 'UINT8' } })),
      preprocessing,
    );
    const bytes = pictures(1);
    const grey = Uint8Array.from(bytes, (_, index) => {
      const [r, g, b] = bytes.subarray(index - (index % 3));
      return Math.round(0.299 * r! + 0.587 * g! + 0.114 * b!);
    });
    expectClose(await run(wrapped.bytes, wrapped.name, bytes, 1), expectedScores(grey, preprocessing));
  });
});

describe('the wrapped graph', () => {
  const preprocessing: Preprocessing = { layout: 'NCHW', width, height, color: 'RGB', ...plain };

  it('declares uint8 [N,H,W,3], with the batch as free or as fixed as it was', () => {
    const { inputs } = describeGraph(wrap(tinyClassifier(graph('NCHW', 3)), preprocessing).model);
    expect(inputs).toEqual([{ name: 'pixels', type: 'UINT8', shape: ['N', height, width, 3] }]);
    const input = { name: 'input', type: 'FLOAT', shape: [1, 3, height, width] } as const;
    const fixed = wrap(tinyClassifier(graph('NCHW', 3, { input })), preprocessing);
    expect(describeGraph(fixed.model).inputs[0]?.shape).toEqual([1, height, width, 3]);
  });

  it('scales nothing where the manifest scales nothing', () => {
    const { model } = wrap(tinyClassifier(graph('NCHW', 3)), preprocessing);
    expect(model.graph.node.map(({ opType }) => opType)).toEqual(['Cast', 'Transpose', 'Flatten', 'MatMul']);
  });

  it('is the very same where it takes uint8 [N,H,W,3] RGB already', () => {
    const { input } = graph('NHWC', 3);
    const file = tinyClassifier(graph('NHWC', 3, { input: { ...input, type: 'UINT8' } }));
    const wrapped = wrap(file, { ...preprocessing, layout: 'NHWC' });
    expect(wrapped.name).toBe('input');
    expect(Buffer.compare(wrapped.bytes, file)).toBe(0);
  });

  it('takes no name that the graph has', async () => {
    const output = { name: 'pixels', shape: ['N', classes] };
    const wrapped = wrap(tinyClassifier(graph('NCHW', 3, { output })), { ...preprocessing, ...imagenet });
    expect(wrapped.name).toBe('pixels_2');
    const session = await InferenceSession.create(wrapped.bytes, { logSeverityLevel: 3 });
    expect(session.outputNames).toEqual(['pixels']);
    await session.release();
  });

  it('feeds a graph whose height and width are free at the size of the manifest', async () => {
    const input = { name: 'input', type: 'FLOAT', shape: ['N', 3, 'H', 'W'] } as const;
    const wrapped = wrap(tinyClassifier(graph('NCHW', 3, { input })), { ...preprocessing, ...even });
    expect(describeGraph(wrapped.model).inputs[0]?.shape).toEqual(['N', height, width, 3]);
    const bytes = pictures(1);
    expectClose(
      await run(wrapped.bytes, wrapped.name, bytes, 1),
      expectedScores(bytes, { ...preprocessing, ...even }),
    );
  });
});
