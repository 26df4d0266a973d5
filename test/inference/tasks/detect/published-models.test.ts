import { readFileSync } from 'node:fs';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { detect } from '../../../../src/inference/tasks/detect/detect.ts';
import type { DetectOutput } from '../../../../src/inference/variant.ts';
import { sharedData } from '../../../support/shared-data.ts';
import { geometry, readAtOwnSize } from '../../images/pictures.ts';
import { reading, tensor } from './tensors.ts';

interface ExpectedObject {
  readonly label: string;
  readonly score: number;
  readonly box_xyxy: readonly number[];
}

interface Detector {
  readonly model: string;
  readonly output: DetectOutput;
  readonly outputs: readonly string[];
  readonly labels: () => string[];
  /** What the network takes for a sample of 0..255. */
  readonly scale: (sample: number) => number;
  readonly channels: readonly [number, number, number];
  readonly minScore: number;
  readonly iouThreshold: number;
}

const detectors: Detector[] = [
  {
    model: 'yolox_nano_416',
    output: { kind: 'yolox', tensor: 'output', strides: [8, 16, 32] },
    outputs: ['output'],
    labels: () => readFileSync(sharedData('labels/coco80.txt')!, 'utf8').trim().split('\n'),
    scale: (sample) => sample,
    channels: [2, 1, 0],
    minScore: 0.25,
    iouThreshold: 0.45,
  },
  {
    model: 'ultraface_rfb_320',
    output: {
      kind: 'boxes-scores',
      boxes: 'boxes',
      scores: 'scores',
      format: 'xyxy',
      normalized: true,
      background: 0,
    },
    outputs: ['boxes', 'scores'],
    labels: () => ['background', 'face'],
    scale: (sample) => (sample - 127) / 128,
    channels: [0, 1, 2],
    minScore: 0.7,
    iouThreshold: 0.3,
  },
];

/** Planes of an interleaved picture, in the order of `channels`. */
function planes(pixels: Uint8Array, { channels, scale }: Detector): Float32Array {
  const area = pixels.length / 3;
  const values = new Float32Array(pixels.length);
  channels.forEach((channel, plane) => {
    for (let at = 0; at < area; at++) values[plane * area + at] = scale(pixels[3 * at + channel]!);
  });
  return values;
}

describe.each(detectors)('$model', (detector) => {
  const model = sharedData(`models/${detector.model}.onnx`);
  const answers = sharedData('expected/exact.json');
  const expected: Record<string, ExpectedObject[]> =
    model === null || answers === null ? {} : JSON.parse(readFileSync(answers, 'utf8'))[detector.model];

  describe.skipIf(model === null || answers === null)(
    'finds what was found with it (needs shared data: models, expected, labels)',
    () => {
      test.each(Object.keys(expected))('%s', async (file) => {
        const picture = await readAtOwnSize(readFileSync(sharedData(`expected/exact/${file}`)!));
        const { width, height, pixels } = picture;
        const session = await InferenceSession.create(model!, { logSeverityLevel: 3 });
        const images = new OrtTensor('float32', planes(pixels, detector), [1, 3, height, width]);
        const answered = await session.run({ [session.inputNames[0]!]: images });
        const tensors = detector.outputs.map((name) => {
          const { dims, data } = answered[name]!;
          return tensor(dims.slice(1), data as Float32Array, name);
        });
        await session.release();
        const found = detect(
          tensors,
          reading({
            ...detector,
            labels: detector.labels(),
            input: geometry({ width, height }),
            original: { width, height },
          }),
        );
        expect(found.map(({ label }) => label)).toEqual(expected[file]!.map(({ label }) => label));
        found.forEach(({ score, box }, place) => {
          const { score: scoreThere, box_xyxy: edges } = expected[file]![place]!;
          expect(Math.abs(score - scoreThere)).toBeLessThan(1e-3);
          [box.x, box.y, box.x + box.width, box.y + box.height].forEach((edge, side) => {
            expect(Math.abs(edge - edges[side]!)).toBeLessThan(1);
          });
        });
      });
    },
  );
});
