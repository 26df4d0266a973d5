import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  DataType,
  SavedModelSchema,
} from '../../src/inference/foreign/tensorflow-serving/generated/tensorflow_pb.ts';
import { elementsOf } from '../../src/inference/oip/elements.ts';
import { LocalWorker } from '../../src/inference/pool/local-worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { type LayersForm, type TinyFiles, tinyGraph, tinyLayers, tinyScores } from '../support/tiny-tfjs.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';

let scene: ImportScene;
beforeAll(async () => {
  scene = await openImportScene();
});
afterAll(() => scene.close());

interface Brought {
  readonly format: 'tfjs-graph' | 'tfjs-layers' | 'saved-model';
  readonly files: TinyFiles;
  readonly manifest?: Record<string, unknown>;
}

/** Lays a model out beside a manifest that is right for the tiny ones. */
function layOut({ format, files, manifest }: Brought): string {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'model', name)), { recursive: true });
    writeFileSync(join(folder, 'model', name), bytes);
  }
  writeFileSync(join(folder, 'labels.txt'), 'ant\nbee\ncat\ndog\n');
  const path = join(folder, 'manifest.json');
  const right = {
    ...{ name: 'tiny', version: 1, task: 'CLASSIFY', format, labels: 'labels.txt' },
    file: format === 'saved-model' ? 'model' : 'model/model.json',
    ...{ input: { width: 6, height: 4 }, output: { kind: 'logits' } },
  };
  writeFileSync(path, JSON.stringify({ ...right, ...manifest }));
  return path;
}

/** Imports in vain, and sees that nothing is left of it. */
async function refusal(brought: Brought): Promise<string> {
  const before = await scene.contents();
  const error = await scene.import(layOut(brought)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'ManifestError' });
  expect(await scene.contents()).toEqual(before);
  return (error as Error).message;
}

const graph = (files: TinyFiles, manifest = {}): Brought => ({ format: 'tfjs-graph', files, manifest });
const picture = (seed: number) =>
  Uint8Array.from({ length: 72 }, (_, at) => (at * 37 * seed + 11 * seed) % 256);

describe('a TensorFlow.js model is served as it was brought, several pictures at once', () => {
  const forms: LayersForm[] = ['keras 2 sequential', 'keras 3 sequential', 'keras 3 functional'];
  it.each<[string, Brought]>([
    ['a graph', graph(tinyGraph())],
    ...forms.map((form): [string, Brought] => [
      `layers, ${form}`,
      { format: 'tfjs-layers', files: tinyLayers(form) },
    ]),
  ])('%s', async (name, brought) => {
    const manifest = { ...brought.manifest, name: name.replaceAll(/[ ,]+/g, '-') };
    const model = await scene.import(layOut({ ...brought, manifest }));
    const [variant] = model.variants;
    expect(variant).toMatchObject({
      ...{ format: brought.format, maxBatch: 8, input: { tensor: 'pixels' } },
      output: { kind: 'logits', tensor: 'scores' },
    });
    const options = { artifacts: scene.artifacts.dir, threads: 1, tensorFlow: 'wasm' } as const;
    const worker = new LocalWorker(options, createLogger('silent'));
    onTestFinished(() => worker.close());
    const pictures = [picture(1), picture(2), picture(3)];
    const pixels = Buffer.concat(pictures);
    const { outputs, device } = await worker.infer(variant!, {
      name: 'pixels',
      datatype: 'UINT8',
      shape: [3, 4, 6, 3],
      data: pixels,
    });
    expect(device).toBe('wasm');
    const [scores] = outputs;
    expect(scores).toMatchObject({ name: 'scores', datatype: 'FP32', shape: [3, 4] });
    const wanted = pictures.flatMap(tinyScores);
    [...elementsOf('FP32', scores!.data)].forEach((score, at) => {
      expect(score).toBeCloseTo(wanted[at]!, 3);
    });
  });

  it('one by one where its batch is fixed', async () => {
    const model = await scene.import(layOut(graph(tinyGraph({ batch: 1 }), { name: 'fixed' })));
    expect(model.variants[0]!.maxBatch).toBe(1);
  });

  it('is left as it is when it is imported again, and is another with other weights', async () => {
    const brought = graph(tinyGraph(), { name: 'again' });
    const first = await scene.import(layOut(brought));
    expect((await scene.import(layOut(brought))).id).toBe(first.id);
    const files = { ...tinyGraph(), 'second.bin': new Uint8Array(48).fill(1) };
    expect(await refusal({ ...brought, files })).toContain("which 'again' has already with other content");
  });
});

describe('a TensorFlow.js model that cannot be served is refused with what is wrong', () => {
  const without = (files: TinyFiles, name: string) =>
    Object.fromEntries(Object.entries(files).filter(([each]) => each !== name));
  it.each<[string, Brought, string[]]>([
    ['a shard that is missing', graph(without(tinyGraph(), 'second.bin')), ['second.bin', 'does not exist']],
    [
      'a shard that is cut short',
      graph({ ...tinyGraph(), 'second.bin': new Uint8Array(40) }),
      ['48 bytes in "first.bin", "second.bin"', 'wanted 56'],
    ],
    ['an operator that nobody knows', graph(tinyGraph({ op: 'FancyMul' })), ['FancyMul']],
    [
      'a graph called layers',
      { format: 'tfjs-layers', files: tinyGraph() },
      ['"tfjs-layers"', 'wanted "tfjs-graph"'],
    ],
    [
      'layers called a graph',
      { format: 'tfjs-graph', files: tinyLayers('keras 2 sequential') },
      ['"tfjs-graph"', 'wanted "tfjs-layers"'],
    ],
    ['what is no JSON', graph({ 'model.json': Buffer.from('{') }), ["wanted a TensorFlow.js model's JSON"]],
    [
      'another size',
      graph(tinyGraph(), { input: { width: 7, height: 4 } }),
      ['input.width: found 7; wanted 6', "'images' FLOAT"],
    ],
    ['another layout', graph(tinyGraph(), { input: { width: 6, height: 4, layout: 'NCHW' } }), ['NCHW']],
    [
      'an output it has not',
      graph(tinyGraph(), { output: { kind: 'logits', scores: 'probs' } }),
      ['"probs"', "'scores'"],
    ],
  ])('%s', async (_, brought, parts) => {
    const message = await refusal(brought);
    for (const part of parts) expect(message).toContain(part);
  });
});

describe('a SavedModel whose files cannot be right is refused before TensorFlow is asked', () => {
  const float = {
    dtype: DataType.DT_FLOAT,
    tensorShape: { dim: [{ size: -1n }, { size: 4n }, { size: 6n }, { size: 3n }] },
  };
  const scores = { scores: { name: 'scores:0', ...float } };
  const pb = (signatureDef: Record<string, unknown>, tags = ['serve']) =>
    toBinary(
      SavedModelSchema,
      create(SavedModelSchema, { metaGraphs: [{ metaInfoDef: { tags }, signatureDef }] } as never),
    );
  const good = pb({
    serving_default: { inputs: { images: { name: 'images:0', ...float } }, outputs: scores },
  });
  const index = { 'variables/variables.index': Buffer.from('x') };
  const shard = (number: string) => ({ [`variables/variables.data-${number}`]: Buffer.from('x') });
  const saved = (files: TinyFiles): Brought => ({ format: 'saved-model', files });
  it.each<[string, Brought, string[]]>([
    [
      'no protocol buffer',
      saved({ 'saved_model.pb': Buffer.from('hello') }),
      ['no SavedModel', 'or the folder it lies in'],
    ],
    [
      'no folder',
      { ...saved({ 'saved_model.pb': good }), manifest: { file: 'elsewhere' } },
      ['elsewhere', 'does not exist'],
    ],
    ['no graph to serve', saved({ 'saved_model.pb': pb({}, ['train']) }), ['[train]', "tagged 'serve'"]],
    ['no signature', saved({ 'saved_model.pb': pb({}) }), ['(none)', 'serving_default']],
    [
      'two signatures, neither the default',
      saved({ 'saved_model.pb': pb({ a: {}, b: {} }) }),
      ['a, b', 'serving_default'],
    ],
    ['a signature without outputs', saved({ 'saved_model.pb': pb({ a: {} }) }), ["'a' without outputs"]],
    [
      'a shard of two missing',
      saved({ 'saved_model.pb': good, ...index, ...shard('00000-of-00002') }),
      ['without variables/variables.data-00001-of-00002'],
    ],
    [
      'shards without their index',
      saved({ 'saved_model.pb': good, ...shard('00000-of-00001') }),
      ['without variables/variables.index'],
    ],
    [
      'an index without shards',
      saved({ 'saved_model.pb': good, ...index }),
      ['without variables/variables.data-00000-of-00001'],
    ],
    [
      'two inputs',
      saved({
        'saved_model.pb': pb({
          serving_default: { inputs: { a: { ...float }, b: { ...float } }, outputs: scores },
        }),
      }),
      ["2 inputs: 'a' FLOAT [?,4,6,3], 'b' FLOAT [?,4,6,3]"],
    ],
  ])('%s', async (_, brought, parts) => {
    const message = await refusal(brought);
    for (const part of parts) expect(message).toContain(part);
  });
});
