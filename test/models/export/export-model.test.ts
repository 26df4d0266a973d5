import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { placeOf } from '../../../src/inference/artifact-store.ts';
import { writeBundle } from '../../../src/inference/bundle.ts';
import {
  DataType,
  SavedModelSchema,
} from '../../../src/inference/foreign/tensorflow-serving/generated/tensorflow_pb.ts';
import { exportModel } from '../../../src/models/export/export-model.ts';
import type { ExportTarget } from '../../../src/models/export/lay-out.ts';
import { tritonConfig } from '../../../src/models/export/triton-config.ts';
import type { ServedModel } from '../../../src/models/registry.ts';
import { moveWeightsOut } from '../../support/external-data.ts';
import { parsePbtxt } from '../../support/pbtxt.ts';
import { type ImportScene, openImportScene } from '../import-scene.ts';
import { modelFolder, tiny } from '../model-folder.ts';
import { tinyClassifier } from '../tiny-classifier.ts';

let scene: ImportScene;

beforeAll(async () => {
  scene = await openImportScene();
});
afterAll(() => scene.close());

function repositoryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-repository-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .sort();
}

const exportTo = (repository: string, model: ServedModel, target: ExportTarget = 'triton') =>
  exportModel(model, { target, repository, artifacts: scene.artifacts });

async function scoresOf(path: string, shape: number[], pixels: Uint8Array): Promise<number[]> {
  const session = await InferenceSession.create(path);
  const outputs = await session.run({ [session.inputNames[0]!]: new Tensor('uint8', pixels, shape) });
  await session.release();
  return [...(Object.values(outputs)[0]!.data as Float32Array)];
}

const pixels = Uint8Array.from({ length: 4 * 6 * 3 }, (_, index) => (index * 37) % 256);

describe('for Triton', () => {
  it('writes the stored graph and what Triton must know of it', async () => {
    const model = await scene.import(modelFolder({ manifest: { name: 'first' } }));
    const repository = repositoryFolder();
    expect(await exportTo(repository, model)).toEqual([
      { compression: 'NONE', name: 'first', version: 1, written: true },
    ]);
    expect(filesBelow(repository)).toEqual(['first/1/model.onnx', 'first/config.pbtxt']);
    const [variant] = model.variants;
    expect(readFileSync(join(repository, 'first/1/model.onnx'))).toEqual(
      readFileSync(scene.artifacts.path(variant!.artifactSha256)),
    );
    expect(parsePbtxt(readFileSync(join(repository, 'first/config.pbtxt'), 'utf8'))).toEqual({
      name: ['first'],
      backend: ['onnxruntime'],
      max_batch_size: [String(variant!.maxBatch)],
      input: [{ name: [variant!.input.tensor], data_type: ['TYPE_UINT8'], dims: ['4', '6', '3'] }],
      output: [{ name: ['scores'], data_type: ['TYPE_FP32'], dims: ['4'] }],
      dynamic_batching: [{}],
      instance_group: [{ count: ['1'], kind: ['KIND_AUTO'] }],
      version_policy: [{ all: [{}] }],
    });
    expect(variant!.maxBatch).toBeGreaterThan(1);
  });

  it('writes a graph that takes one picture at a time as one that Triton must not batch', async () => {
    const graph = {
      input: { ...tiny.input, shape: [1, 3, 4, 6] },
      output: { ...tiny.output, shape: [1, 4] },
    };
    const model = await scene.import(modelFolder({ manifest: { name: 'fixed' }, graph }));
    const alone = { ...model, variants: model.variants.map((variant) => ({ ...variant, maxBatch: 1 })) };
    const repository = repositoryFolder();
    await exportTo(repository, alone);
    const config = parsePbtxt(readFileSync(join(repository, 'fixed/config.pbtxt'), 'utf8'));
    expect(config).toMatchObject({ max_batch_size: ['0'], input: [{ dims: ['1', '4', '6', '3'] }] });
    expect(config).not.toHaveProperty('dynamic_batching');
  });

  it('takes weights in other files along, where the graph looks for them', async () => {
    const { graph, weights } = moveWeightsOut(tinyClassifier(tiny), () => ({ location: 'weights.bin' }));
    const manifest = modelFolder({ file: graph, manifest: { name: 'weighty' } });
    writeFileSync(join(dirname(manifest), 'weights.bin'), weights.get('weights')!);
    const whole = await scene.import(modelFolder({ manifest: { name: 'whole' } }));
    const model = await scene.import(manifest);
    const repository = repositoryFolder();
    await exportTo(repository, model);
    await exportTo(repository, whole);
    const [sha256] = model.variants[0]!.externalData;
    expect(filesBelow(join(repository, 'weighty/1'))).toEqual([placeOf(sha256!), 'model.onnx'].sort());
    const scores = await scoresOf(join(repository, 'weighty/1/model.onnx'), [1, 4, 6, 3], pixels);
    expect(scores).toEqual(await scoresOf(join(repository, 'whole/1/model.onnx'), [1, 4, 6, 3], pixels));
    expect(new Set(scores).size).toBe(4);
  });

  it('writes every variant, each under the name that it is asked for by', async () => {
    const model = await scene.import(modelFolder({ manifest: { name: 'several' } }));
    const int8 = {
      ...model.variants[0]!,
      compression: 'INT8' as const,
      publicName: { name: 'several~int8', version: 1 },
    };
    const repository = repositoryFolder();
    const exported = await exportTo(repository, { ...model, variants: [...model.variants, int8] });
    expect(exported.map(({ name }) => name)).toEqual(['several', 'several~int8']);
    expect(parsePbtxt(readFileSync(join(repository, 'several~int8/config.pbtxt'), 'utf8')).name).toEqual([
      'several~int8',
    ]);
  });

  it("gives a tenant's own model a name that others' cannot have", async () => {
    const tenant = await scene.createTenant('exporting');
    const model = await scene.import(modelFolder({ manifest: { name: 'own', version: 7 } }), tenant);
    const repository = repositoryFolder();
    const name = `own~${model.variants[0]!.key}`;
    expect(await exportTo(repository, model)).toMatchObject([{ name, version: 1 }]);
    expect(filesBelow(repository)).toEqual([`${name}/1/model.onnx`, `${name}/config.pbtxt`]);
  });

  it('leaves what is there and the same, and adds another version to it', async () => {
    const repository = repositoryFolder();
    const first = await scene.import(modelFolder({ manifest: { name: 'twice' } }));
    const second = await scene.import(
      modelFolder({ manifest: { name: 'twice', version: 2 }, graph: { irVersion: 9 } }),
    );
    expect(await exportTo(repository, first)).toMatchObject([{ written: true }]);
    expect(await exportTo(repository, first)).toMatchObject([{ written: false }]);
    expect(await exportTo(repository, second)).toMatchObject([{ version: 2, written: true }]);
    expect(filesBelow(repository)).toEqual([
      'twice/1/model.onnx',
      'twice/2/model.onnx',
      'twice/config.pbtxt',
    ]);
  });

  it('refuses where something else is there, and leaves it as it is', async () => {
    const model = await scene.import(modelFolder({ manifest: { name: 'taken' } }));
    const files: [string, RegExp][] = [
      ['taken/1/model.onnx', /taken\/1 is there, and its model\.onnx is missing or differs.*another folder/],
      ['taken/1/labels.txt', /taken\/1 is there, and has the file labels\.txt/],
      ['taken/config.pbtxt', /config\.pbtxt is there and says something else/],
    ];
    for (const [file, message] of files) {
      const repository = repositoryFolder();
      mkdirSync(dirname(join(repository, file)), { recursive: true });
      writeFileSync(join(repository, file), 'another');
      await expect(exportTo(repository, model)).rejects.toMatchObject({ name: 'OperatorError', message });
      expect(filesBelow(repository)).toEqual([file]);
      expect(readFileSync(join(repository, file), 'utf8')).toBe('another');
    }
  });

  it('writes nothing of a model whose file is damaged', async () => {
    const model = await scene.import(modelFolder({ manifest: { name: 'damaged' }, graph: { irVersion: 7 } }));
    writeFileSync(scene.artifacts.path(model.variants[0]!.artifactSha256), 'damage');
    const repository = repositoryFolder();
    await expect(exportTo(repository, model)).rejects.toThrow(/damaged .*missing or damaged/);
    expect(readdirSync(repository)).toEqual([]);
  });
});

/** A SavedModel's files, of two outputs, stored as an import stores them; no engine reads them here. */
async function savedModel(): Promise<ServedModel> {
  const tensor = (dtype: DataType, ...lengths: number[]) => ({
    ...{ name: 'any:0', dtype, tensorShape: { dim: lengths.map((size) => ({ size: BigInt(size) })) } },
  });
  const signatureDef = {
    __saved_model_init_op: {},
    serving_default: {
      inputs: { pictures: tensor(DataType.DT_FLOAT, -1, 4, 6, 3) },
      outputs: { scores: tensor(DataType.DT_FLOAT, -1, 4), counts: tensor(DataType.DT_INT64, -1) },
    },
  };
  const metaGraphs = [{ metaInfoDef: { tags: ['serve'] }, signatureDef }];
  const files: Record<string, string> = {};
  for (const [place, content] of [
    ['saved_model.pb', toBinary(SavedModelSchema, create(SavedModelSchema, { metaGraphs }))],
    ['variables/variables.index', Buffer.from('index')],
    ['variables/variables.data-00000-of-00001', Buffer.from('weights')],
  ] as const)
    files[place] = await scene.artifacts.put(content);
  const artifactSha256 = await scene.artifacts.put(
    writeBundle({ files, preprocessing: null, unbatched: [] }),
  );
  const onnx = await scene.import(modelFolder({ manifest: { name: 'saved' } }));
  const variant = { ...onnx.variants[0]!, format: 'saved-model' as const, artifactSha256, maxBatch: 8 };
  return { ...onnx, variants: [{ ...variant, externalData: Object.values(files) }] };
}

describe('a SavedModel', () => {
  it('is laid out for TensorFlow Serving as its exporter wrote it', async () => {
    const repository = repositoryFolder();
    expect(await exportTo(repository, await savedModel(), 'tfserving')).toMatchObject([
      { name: 'saved', version: 1 },
    ]);
    expect(filesBelow(repository)).toEqual([
      'saved/1/saved_model.pb',
      'saved/1/variables/variables.data-00000-of-00001',
      'saved/1/variables/variables.index',
    ]);
    expect(readFileSync(join(repository, 'saved/1/variables/variables.index'), 'utf8')).toBe('index');
  });

  it('is laid out for Triton with what its signature says', async () => {
    const repository = repositoryFolder();
    await exportTo(repository, await savedModel());
    expect(filesBelow(repository)).toContain('saved/1/model.savedmodel/variables/variables.index');
    expect(parsePbtxt(readFileSync(join(repository, 'saved/config.pbtxt'), 'utf8'))).toMatchObject({
      ...{ name: ['saved'], platform: ['tensorflow_savedmodel'], max_batch_size: ['8'] },
      input: [{ name: ['pictures'], data_type: ['TYPE_FP32'], dims: ['4', '6', '3'] }],
      output: expect.arrayContaining([
        { name: ['scores'], data_type: ['TYPE_FP32'], dims: ['4'] },
        { name: ['counts'], data_type: ['TYPE_INT64'], dims: ['1'], reshape: [{ shape: [] }] },
      ]),
    });
  });

  it('in the form of TensorFlow.js is refused for either', async () => {
    const model = await savedModel();
    const variants = model.variants.map((variant) => ({ ...variant, format: 'tfjs-graph' as const }));
    for (const target of ['triton', 'tfserving'] as const) {
      const repository = repositoryFolder();
      await expect(exportTo(repository, { ...model, variants }, target)).rejects.toThrow(
        /tfjs-graph.*TensorFlow\.js/,
      );
      expect(readdirSync(repository)).toEqual([]);
    }
  });
});

it('says of an ONNX model that TensorFlow Serving does not run it', async () => {
  const model = await scene.import(modelFolder({ manifest: { name: 'onnx' } }));
  const repository = repositoryFolder();
  await expect(exportTo(repository, model, 'tfserving')).rejects.toThrow(
    /onnx .*SavedModels alone.*--triton/,
  );
  expect(readdirSync(repository)).toEqual([]);
});

it('writes a number a picture as the list of one that Triton wants, and what is not free as it is', () => {
  const runBy = { backend: 'onnxruntime' };
  const image = { name: 'a "quoted" name', dataType: 'TYPE_UINT8', shape: [-1, 8, 8, 3] };
  const count = { name: 'count', dataType: 'TYPE_INT64', shape: [-1] };
  const boxes = { name: 'boxes', dataType: 'TYPE_FP32', shape: [-1, -1, 4] };
  const config = { name: 'any', runBy, maxBatch: 8, inputs: [image], outputs: [count, boxes] };
  expect(parsePbtxt(tritonConfig(config))).toMatchObject({
    input: [{ name: ['a "quoted" name'] }],
    output: [{ dims: ['1'], reshape: [{ shape: [] }] }, { dims: ['-1', '4'] }],
  });
  const fixed = { ...config, outputs: [{ ...boxes, shape: [1, -1, 4] }] };
  expect(parsePbtxt(tritonConfig(fixed))).toMatchObject({
    max_batch_size: ['0'],
    input: [{ dims: ['-1', '8', '8', '3'] }],
    output: [{ dims: ['1', '-1', '4'] }],
  });
});
