import { describe, expect, it } from 'vitest';
import { adapt } from '../../../src/inference/foreign/adapted-model.ts';
import type { DeclaredModel, DeclaredTensor } from '../../../src/inference/foreign/declared-model.ts';
import { bytesOf, elementsOf } from '../../../src/inference/oip/elements.ts';
import type { Preprocessing } from '../../../src/inference/preprocessing.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import type { Variant, VariantOutput } from '../../../src/inference/variant.ts';
import { originalTensor, pixelTensor, proofPictures } from '../../../src/models/proof-pictures.ts';
import { tensorThreads } from '../../support/remote-worker.ts';
import { variantOf } from '../../support/variants.ts';

const isHeld = async () => true;
const never = new AbortController().signal;
const preprocessing: Preprocessing = {
  ...{ layout: 'NCHW', width: 4, height: 3, color: 'RGB' },
  ...{ scale: 1 / 255, mean: [0.5, 0.25, 0.125], std: [0.5, 0.25, 0.2] },
};
const variant: Variant = {
  ...variantOf('any', 'a'.repeat(64)),
  preprocessing,
  input: { ...variantOf('any', '').input, width: 4, height: 3 },
  output: { kind: 'logits', tensor: 'scores', background: null },
};
const scores: DeclaredTensor = { name: 'scores', datatype: 'FP32', shape: [-1, 3] };
const declared = (
  datatype: string,
  shape: number[] | null,
  outputs = [scores],
  maxBatch: number | null = null,
) => ({
  ...{ inputs: [{ name: 'x', datatype, shape }], outputs, maxBatch, maxBytes: 2 ** 20 },
});

/** What `model` is asked with four pictures, and what is made of its answers: one row of scores a picture. */
async function asked(
  model: DeclaredModel,
  of: Variant = variant,
  pictures = proofPictures(4, 3).slice(0, 4),
  parameters = {},
) {
  const requests: Tensor[] = [];
  const open = adapt(
    {
      ...{ title: "'shapes' of a test", declared: model, isHeld },
      async infer(input, outputs) {
        requests.push(input);
        const [pictures] = input.shape;
        const rows = Float32Array.from({ length: pictures! * 3 }, (_, at) => requests.length * 100 + at);
        const answers = outputs.map(({ name }) => ({
          ...{ name, datatype: 'FP32' as const, shape: [pictures!, 3], data: bytesOf(rows) },
        }));
        return { outputs: answers, parameters };
      },
    },
    of,
    tensorThreads(),
  );
  const answer = await open.infer(pixelTensor('pixels', pictures, preprocessing), never);
  return { requests, answer, pictures };
}

describe('input', () => {
  it('gets the pixels as they are where it takes them', async () => {
    for (const shape of [
      [-1, 3, 4, 3],
      [-1, -1, -1, 3],
      [-1, -1, -1, -1],
    ]) {
      const { requests, pictures } = await asked(declared('UINT8', shape));
      expect(requests).toEqual([{ ...pixelTensor('x', pictures, preprocessing) }]);
    }
  });

  it.each([
    ['FP32', [-1, 3, 3, 4], 'NCHW'],
    ['FP32', [-1, 3, 4, 3], 'NHWC'],
    ['UINT8', [-1, 3, 3, 4], 'NCHW'],
  ] as const)('of %s %j gets what the manifest makes of them', async (datatype, shape, layout) => {
    const { requests, pictures } = await asked(declared(datatype, [...shape]));
    expect(requests).toEqual([
      originalTensor({ name: 'x', datatype }, pictures, { ...preprocessing, layout }),
    ]);
  });

  it('gets one channel where the model is for grey pictures', async () => {
    const gray = { ...preprocessing, color: 'GRAY' as const, mean: [0.5], std: [0.5] };
    const { requests, pictures } = await asked(declared('FP32', [-1, 3, 4, 1]), {
      ...variant,
      preprocessing: gray,
    });
    const expected = originalTensor({ name: 'x', datatype: 'FP32' }, pictures, { ...gray, layout: 'NHWC' });
    expect(requests).toEqual([expected]);
  });

  it('of bytes in BGR gets them so, unless it is the graph that was exported', async () => {
    const bgr = { ...variant, preprocessing: { ...preprocessing, color: 'BGR' as const } };
    const { requests, pictures } = await asked(declared('UINT8', [-1, 3, 4, 3]), bgr);
    const swapped = { ...bgr.preprocessing, layout: 'NHWC' as const };
    expect(requests).toEqual([originalTensor({ name: 'x', datatype: 'UINT8' }, pictures, swapped)]);
    const exported = { ...bgr, input: { ...bgr.input, tensor: 'x' } };
    const own = await asked(declared('UINT8', [-1, 3, 4, 3]), exported);
    expect(own.requests).toEqual([pixelTensor('x', pictures, preprocessing)]);
  });

  it('is prepared in a thread where it is large, and comes out the same', async () => {
    const [width, height] = [320, 240];
    const large = { ...preprocessing, width, height };
    const of = { ...variant, preprocessing: large, input: { ...variant.input, width, height } };
    const pictures = proofPictures(width, height).slice(0, 2);
    const { requests } = await asked(declared('FP32', [1, 3, height, width]), of, pictures);
    expect(requests).toHaveLength(2);
    for (const [index, picture] of pictures.entries()) {
      const expected = originalTensor({ name: 'x', datatype: 'FP32' }, [picture], large);
      expect(Buffer.compare(requests[index]!.data, expected.data)).toBe(0);
    }
  });
});

describe('a batch', () => {
  it.each([
    [
      'of 1 is fed one picture at a time',
      declared('UINT8', [1, 3, 4, 3], [{ ...scores, shape: [1, 3] }]),
      [1, 1, 1, 1],
    ],
    ['that is free takes all', declared('UINT8', [-1, 3, 4, 3]), [4]],
    [
      'is no larger than what is best sent at once',
      { ...declared('UINT8', [-1, 3, 4, 3]), maxBytes: 2 * 36 + 35 },
      [2, 2],
    ],
    [
      'has each picture alone that is larger',
      { ...declared('UINT8', [-1, 3, 4, 3]), maxBytes: 35 },
      [1, 1, 1, 1],
    ],
    ['is no larger than the server says', declared('UINT8', [-1, 3, 4, 3], [scores], 3), [3, 1]],
  ] as const)('%s', async (_, model, sizes) => {
    const { requests, answer } = await asked(model);
    expect(requests.map(({ shape }) => shape[0])).toEqual(sizes);
    expect(answer.outputs).toMatchObject([{ name: 'scores', datatype: 'FP32', shape: [4, 3] }]);
    const rows = sizes.flatMap((size, request) =>
      Array.from({ length: size * 3 }, (_, at) => (request + 1) * 100 + at),
    );
    expect([...elementsOf('FP32', answer.outputs[0]!.data)]).toEqual(rows);
  });
});

describe('is refused', () => {
  const heads: Record<string, VariantOutput> = {
    mask: { kind: 'mask-logits', tensor: 'scores', layout: 'NCHW', background: 0 },
    boxes: {
      kind: 'boxes-scores',
      boxes: 'b',
      scores: 's',
      format: 'xyxy',
      normalized: true,
      background: null,
    },
  };
  it.each<[string, DeclaredModel, Variant, RegExp]>([
    [
      'a type',
      declared('INT8', [-1, 3, 3, 4]),
      variant,
      /'x' INT8 \[-1,3,3,4\]; wanted UINT8 \[N,3,4,3\], or UINT8, FP16, FP32 \[N,3,4,3\] or \[N,3,3,4\]/,
    ],
    ['a size', declared('FP32', [-1, 3, 8, 8]), variant, /'x' FP32 \[-1,3,8,8\]; wanted/],
    ['a rank', declared('FP32', [-1, 36]), variant, /'x' FP32 \[-1,36\]; wanted/],
    ['no rank', declared('UINT8', null), variant, /'x' UINT8 of undeclared rank; wanted/],
    ['grey', declared('FP32', [-1, 3, 4, 1]), variant, /'x' FP32 \[-1,3,4,1\]; wanted/],
    ['a batch', declared('UINT8', [8, 3, 4, 3]), variant, /a batch of 1 or a free one \(-1\) in place of 8/],
    [
      'nothing noted down',
      declared('FP32', [-1, 3, 3, 4]),
      { ...variant, preprocessing: null },
      /as a new version/,
    ],
    ['no input', { ...declared('UINT8', []), inputs: [] }, variant, /the inputs none; wanted one/],
    [
      'inputs',
      { ...declared('UINT8', []), inputs: [scores, scores] },
      variant,
      /'scores' FP32 \[-1,3\], 'scores'/,
    ],
    [
      'no output',
      declared('UINT8', [-1, 3, 4, 3], []),
      variant,
      /the outputs none; wanted 'scores' FP32 \[\?,3\] or/,
    ],
    [
      'other classes',
      declared('UINT8', [-1, 3, 4, 3], [{ ...scores, shape: [-1, 4] }]),
      variant,
      /'scores' FP32 \[-1,4\]; wanted/,
    ],
    [
      'other numbers',
      declared('UINT8', [-1, 3, 4, 3], [{ ...scores, datatype: 'FP16' }]),
      variant,
      /'scores' FP16 \[-1,3\]; wanted/,
    ],
    [
      'other names',
      declared(
        'UINT8',
        [-1, 3, 4, 3],
        [
          { ...scores, name: 'a' },
          { ...scores, name: 'b' },
        ],
      ),
      variant,
      /'a' FP32 \[-1,3\], 'b'.*wanted 'scores'/,
    ],
    [
      'no mask',
      declared('UINT8', [-1, 3, 4, 3]),
      { ...variant, output: heads.mask! },
      /wanted 'scores' FP32 \[\?,3,\?,\?\]/,
    ],
    [
      'no boxes',
      declared('UINT8', [-1, 3, 4, 3]),
      { ...variant, output: heads.boxes! },
      /wanted 'b' FP32 \[\?,\?,4\]/,
    ],
  ])('%s that it cannot be served with', async (_, model, of, message) => {
    await expect(asked(model, of)).rejects.toMatchObject({ name: 'OipError', status: 422, message });
    await expect(asked(model, of)).rejects.toThrow("'shapes' of a test is not the model that is served here");
  });

  const row = { name: 'scores', datatype: 'FP32', shape: [4, 3], data: new Uint8Array(48) } as const;
  it.each<[string, Tensor[], RegExp]>([
    [
      'another name',
      [{ ...row, name: 'other' }],
      /'scores' FP32 \[-1,3\], as it was declared, and answered 'other'/,
    ],
    ['another type', [{ ...row, datatype: 'INT32' }], /for 4 pictures, and answered 'scores' INT32 \[4,3\]/],
    ['another shape', [{ ...row, shape: [4, 2] }], /answered 'scores' FP32 \[4,2\]/],
    ['fewer pictures', [{ ...row, shape: [3, 3] }], /answered 'scores' FP32 \[3,3\]/],
    ['fewer bytes', [{ ...row, data: new Uint8Array(44) }], /in 44 bytes, not in 48/],
    ['nothing', [], /answered none/],
  ])('%s in an answer', async (_, answer, message) => {
    const model = {
      title: 'a',
      declared: declared('UINT8', [-1, 3, 4, 3]),
      infer: async () => ({ outputs: answer }),
      isHeld,
    };
    const pixels = pixelTensor('pixels', proofPictures(4, 3).slice(0, 4), preprocessing);
    await expect(adapt(model, variant, tensorThreads()).infer(pixels, never)).rejects.toMatchObject({
      status: 502,
      message,
    });
  });
});

it('reads the only output there is by whatever name it has, and gives it the name that the variant knows', async () => {
  const { answer } = await asked(declared('UINT8', [-1, 3, 4, 3], [{ ...scores, name: 'output_0' }]));
  expect(answer.outputs.map(({ name }) => name)).toEqual(['scores']);
});

describe('what is told beside an answer', () => {
  const told = (parameters: object, maxBatch = 8) =>
    asked(declared('UINT8', [-1, 3, 4, 3], [scores], maxBatch), variant, undefined, parameters);

  it('is passed on, over all requests of a batch', async () => {
    const run = { compute_ms: 1e-6, queue_ms: 1e-5, batch_size: 6, device: 'gpu 1' };
    const { answer } = await told(run);
    expect(answer).toMatchObject({ computeMs: 1e-6, queueMs: 1e-5, batchSize: 6, device: 'gpu 1' });
    const two = await told({ ...run, batch_size: 2 }, 2);
    expect(two.requests).toHaveLength(2);
    expect(two.answer).toMatchObject({ computeMs: 2e-6, queueMs: 2e-5, batchSize: 2 });
  });

  it.each([
    {},
    { compute_ms: 1e9, queue_ms: 1e9, batch_size: 9 },
    { compute_ms: -1, queue_ms: -1, batch_size: 3 },
    { compute_ms: '1', queue_ms: '1', batch_size: '8', device: 1 },
  ])('is not believed where it cannot be: %j', async (parameters) => {
    const start = performance.now();
    const { answer } = await told(parameters);
    expect(answer).toMatchObject({ queueMs: 0, batchSize: 4, device: 'remote' });
    expect(answer.computeMs).toBeGreaterThan(1e-3);
    expect(answer.computeMs).toBeLessThan(performance.now() - start);
  });
});

it('ends with the signal while a thread prepares', async () => {
  const large = { ...preprocessing, width: 640, height: 640 };
  const of = { ...variant, preprocessing: large, input: { ...variant.input, width: 640, height: 640 } };
  const reached: string[] = [];
  const model = {
    ...{ title: 'a', declared: declared('FP32', [-1, 3, 640, 640]) },
    infer: async () => reached.push('infer') as never,
    isHeld,
  };
  const controller = new AbortController();
  const pixels = pixelTensor('pixels', [new Uint8Array(640 * 640 * 3)], large);
  const answer = adapt(model, of, tensorThreads()).infer(pixels, controller.signal);
  controller.abort(new Error('given up'));
  await expect(answer).rejects.toThrow('given up');
  expect(reached).toEqual([]);
});
