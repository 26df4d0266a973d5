import { describe, expect, it } from 'vitest';
import { type Bundle, readBundle, writeBundle } from '../../../src/inference/bundle.ts';
import { bytesOf, elementsOf } from '../../../src/inference/oip/elements.ts';
import type { Preprocessing } from '../../../src/inference/preprocessing.ts';
import { originalTensor, proofPictures } from '../../../src/models/proof-pictures.ts';
import { passThroughGraph, type TinyFiles, tinyGraph } from '../../support/tiny-tfjs.ts';
import { startWorker } from './in-process-worker.ts';

const plain: Preprocessing = {
  ...{ layout: 'NHWC', width: 6, height: 4, color: 'RGB' },
  ...{ scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
};

async function load(
  files: TinyFiles,
  bundle: Omit<Bundle, 'files'>,
  { format = 'tfjs-graph', hidden = [] as string[] } = {},
) {
  const { artifacts, client } = await startWorker({ tensorFlow: 'wasm' });
  const hashes = Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [name, artifacts.put(bytes)]),
  );
  const sha256 = artifacts.put(writeBundle({ files: hashes, ...bundle }));
  const listed = Object.entries(hashes).flatMap(([name, hash]) => (hidden.includes(name) ? [] : [hash]));
  await client.load('tiny', { sha256, external_data: listed.join(','), format, warmup_batch: 2 });
  return client;
}

describe('pixels are prepared as the manifest says, where the model computes', () => {
  const imagenet = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  it.each<[string, Partial<Preprocessing>]>([
    ['RGB as it is', {}],
    ['RGB scaled by one number', { scale: 1 / 127.5, mean: [1, 1, 1] }],
    ['RGB scaled by channel', imagenet],
    ['BGR scaled by channel', { color: 'BGR', ...imagenet }],
    ['NCHW', { layout: 'NCHW', ...imagenet }],
    ['BGR, NCHW', { layout: 'NCHW', color: 'BGR', ...imagenet }],
    ['GRAY', { color: 'GRAY', scale: 1 / 255, mean: [0.5], std: [0.5] }],
    ['GRAY, NCHW', { color: 'GRAY', layout: 'NCHW', scale: 1 / 255, mean: [0.5], std: [0.5] }],
  ])('%s', async (_, changed) => {
    const preprocessing = { ...plain, ...changed };
    const { layout, width, height, mean } = preprocessing;
    const channels = mean.length;
    const shape = layout === 'NCHW' ? [channels, height, width] : [height, width, channels];
    const client = await load(passThroughGraph(shape), { preprocessing, unbatched: [] });
    const pictures = proofPictures(width, height);
    const pixels = { name: 'pixels', datatype: 'UINT8', shape: [pictures.length, height, width, 3] } as const;
    const { outputs } = await client.infer('tiny', [{ ...pixels, data: Buffer.concat(pictures) }]);
    const wanted = originalTensor({ name: 'passed', datatype: 'FP32' }, pictures, preprocessing);
    expect(outputs[0]).toMatchObject({ name: 'passed', datatype: 'FP32', shape: wanted.shape });
    const numbers = elementsOf('FP32', wanted.data);
    elementsOf('FP32', outputs[0]!.data).forEach((found, at) => {
      expect(found).toBeCloseTo(numbers[at]!, 4);
    });
  });
});

describe('a TensorFlow.js model in a worker', () => {
  it('is described with the shapes that it answers', async () => {
    const { artifacts, client, worker } = await startWorker({ tensorFlow: 'wasm' });
    const hashes = Object.fromEntries(
      Object.entries(tinyGraph()).map(([name, bytes]) => [name, artifacts.put(bytes)]),
    );
    const sha256 = artifacts.put(writeBundle({ files: hashes, preprocessing: plain, unbatched: [] }));
    await client.load('tiny', {
      sha256,
      external_data: Object.values(hashes).join(','),
      format: 'tfjs-graph',
    });
    const metadata = await fetch(`${worker.address}/v2/models/tiny`).then((answer) => answer.json());
    expect(metadata).toMatchObject({
      platform: 'tensorflowjs_graph',
      inputs: [{ name: 'pixels', datatype: 'UINT8', shape: [-1, 4, 6, 3] }],
      outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 4] }],
    });
  });

  it('is fed its own input where nothing is prepared', async () => {
    const client = await load(tinyGraph(), { preprocessing: null, unbatched: [] });
    const data = bytesOf(new Float32Array(72).fill(2));
    const { outputs } = await client.infer('tiny', [
      { name: 'images', datatype: 'FP32', shape: [1, 4, 6, 3], data },
    ]);
    expect([...elementsOf('FP32', outputs[0]!.data)]).toEqual([2, 2, 2, 8]);
  });

  it('answers a constant among its outputs as often as it is asked', async () => {
    const client = await load(tinyGraph({ constantOutput: true }), { preprocessing: null, unbatched: [] });
    const data = bytesOf(new Float32Array(72).fill(2));
    for (let time = 0; time < 3; time += 1) {
      const { outputs } = await client.infer('tiny', [
        { name: 'images', datatype: 'FP32', shape: [1, 4, 6, 3], data },
      ]);
      const found = Object.fromEntries(
        outputs.map((output) => [output.name, [...elementsOf('FP32', output.data)]]),
      );
      expect(found).toEqual({ scores: [2, 2, 2, 8], anchors: [5, 7] });
    }
  });

  it('whose artefact names a file that was not held against its hash is refused', async () => {
    await expect(
      load(tinyGraph(), { preprocessing: null, unbatched: [] }, { hidden: ['second.bin'] }),
    ).rejects.toThrow('which is not among its files');
  });

  it('that is a SavedModel is refused without native TensorFlow, with what to install', async () => {
    const saved = { 'saved_model.pb': Buffer.from('x') };
    const loading = load(saved, { preprocessing: null, unbatched: [] }, { format: 'saved-model' });
    await expect(loading).rejects.toThrow(
      /a SavedModel needs native TensorFlow: run `npm run build:tensorflow`.*FOVEA_TENSORFLOW is wasm/,
    );
  });

  it.each([
    ['no JSON', '{'],
    [
      'a file beside the folder',
      JSON.stringify({ files: { '../x': 'a'.repeat(64) }, preprocessing: null, unbatched: [] }),
    ],
    [
      'an absolute place',
      JSON.stringify({ files: { '/x': 'a'.repeat(64) }, preprocessing: null, unbatched: [] }),
    ],
    ['a dot', JSON.stringify({ files: { './x': 'a'.repeat(64) }, preprocessing: null, unbatched: [] })],
    ['no hash', JSON.stringify({ files: { x: 'a' }, preprocessing: null, unbatched: [] })],
    ['more than it should say', JSON.stringify({ files: {}, preprocessing: null, unbatched: [], more: 1 })],
  ])('is not made of a bundle with %s', (_, text) => {
    expect(() => readBundle(Buffer.from(text))).toThrow("the artefact lists no model's files");
  });
});
