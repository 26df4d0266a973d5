import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeGraph } from '../../src/models/onnx/describe.ts';
import { readModel } from '../../src/models/onnx/model-file.ts';
import { meanModel } from '../support/onnx-fixture.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';
import { modelFolder } from './model-folder.ts';
import { hasProc, trialProcesses } from './trial-processes.ts';

let scene: ImportScene;

beforeAll(async () => {
  scene = await openImportScene();
});
afterAll(() => scene.close());

const named = (name: string, version = 1, more: Record<string, unknown> = {}) => ({
  manifest: { name, version, ...more },
});

describe('an imported model', () => {
  it('is stored as a graph that takes pixels, and described by its manifest', async () => {
    const input = {
      width: 6,
      height: 4,
      fit: 'contain',
      align: 'top-left',
      pad: 114,
      color: 'BGR',
      std: [2, 3, 4],
    };
    const more = { input, license: 'MIT', description: 'Tiny.', unitsPerImage: 3, maxQueueDelayMs: 40 };
    const model = await scene.import(modelFolder(named('stored', 2, more)));
    expect(model).toMatchObject({
      ...{
        tenantId: null,
        name: 'stored',
        version: 2,
        task: 'CLASSIFY',
        labels: ['ant', 'bee', 'cat', 'dog'],
      },
      ...{ license: 'MIT', description: 'Tiny.', inputWidth: 6, inputHeight: 4 },
    });
    expect(model.variants).toHaveLength(1);
    const [variant] = model.variants;
    const bytes = readFileSync(scene.artifacts.path(variant!.artifactSha256));
    expect(variant).toEqual({
      key: `${model.id}.none.${variant!.artifactSha256.slice(0, 12)}`,
      title: 'stored@2',
      task: 'CLASSIFY',
      compression: 'NONE',
      artifactSha256: variant!.artifactSha256,
      externalData: [],
      format: 'onnx',
      publicName: { name: 'stored', version: 2 },
      preprocessing: {
        ...{ layout: 'NCHW', width: 6, height: 4, color: 'BGR' },
        ...{ scale: 1, mean: [0, 0, 0], std: [2, 3, 4] },
      },
      input: {
        tensor: 'pixels',
        width: 6,
        height: 4,
        fit: 'contain',
        resizeShort: null,
        align: 'top-left',
        pad: 114,
      },
      output: { kind: 'logits', tensor: 'scores', background: null },
      labels: model.labels,
      maxBatch: 8,
      maxQueueDelayMs: 40,
      unitsPerImage: 3,
      sizeBytes: bytes.length,
      report: null,
    });
    expect(describeGraph(readModel(bytes)).inputs).toEqual([
      { name: 'pixels', type: 'UINT8', shape: ['N', 4, 6, 3] },
    ]);
    await expect.poll(() => scene.announced).toContain(`model:${model.id}`);
  });

  it('whose answers depend on the rest of the batch is served one picture at a time', async () => {
    const model = await scene.import(modelFolder({ ...named('lonely'), graph: { head: 'batch mean' } }));
    expect(model.variants[0]!.maxBatch).toBe(1);
    expect(scene.logged.join()).toContain('where 8 pictures are answered at once');
  });

  it.skipIf(!hasProc)(
    'is not tried again in a process in which a graph of it answered wrongly (needs /proc)',
    async () => {
      const processes = new Set<number>();
      const look = setInterval(() => {
        for (const { pid } of trialProcesses()) processes.add(pid);
      }, 20);
      try {
        await scene.import(modelFolder({ ...named('lonely-again'), graph: { head: 'batch mean' } }));
        expect(processes.size).toBeGreaterThan(1);
        processes.clear();
        await scene.import(modelFolder(named('right-at-once')));
        expect(processes.size).toBe(1);
      } finally {
        clearInterval(look);
      }
    },
  );

  it('with large pictures is given as many at once as fit into a request', async () => {
    const labels = 'red\ngreen\nblue\n';
    const manifest = { name: 'large', input: { width: 1_800, height: 1_800 } };
    const model = await scene.import(modelFolder({ file: meanModel(1_800, 1), labels, manifest }));
    expect(model.variants[0]!.maxBatch).toBe(6);
  });

  it('may leave its output undeclared: the labels are counted against what it answers', async () => {
    const graph = { output: { name: 'scores', shape: null } };
    await expect(scene.import(modelFolder({ ...named('undeclared'), graph }))).resolves.toBeDefined();
    await expect(
      scene.import(modelFolder({ ...named('undeclared-2'), graph, labels: 'a\nb\n' })),
    ).rejects.toThrow('labels: found 2 lines; wanted 4');
  });

  it("has the background's column named, whether or not the label file does", async () => {
    const output = { kind: 'logits', background: 0 };
    const short = await scene.import(
      modelFolder({ ...named('short', 1, { output }), labels: 'ant\r\nbee\r\ncat' }),
    );
    expect(short.labels).toEqual(['background', 'ant', 'bee', 'cat']);
    const full = await scene.import(modelFolder(named('full', 1, { output })));
    expect(full.labels).toEqual(['ant', 'bee', 'cat', 'dog']);
    expect(full.variants[0]!.output).toMatchObject({ background: 0 });
  });

  it('that takes uint8 [N,H,W,3] already is stored byte for byte', async () => {
    const manifest = { name: 'bytes', input: { width: 6, height: 4 } };
    const input = { name: 'image', type: 'UINT8', shape: ['N', 4, 6, 3] } as const;
    const model = await scene.import(modelFolder({ manifest, graph: { input } }));
    expect(model.variants[0]!.input.tensor).toBe('image');
    const rows = await scene.database.asOperator((tx) => tx.model.findMany({ where: { name: 'bytes' } }));
    expect(rows[0]!.manifest).toMatchObject({ sha256: model.variants[0]!.artifactSha256 });
  });
});

describe('a version', () => {
  const live = async (name: string) =>
    (await scene.database.asOperator((tx) => tx.model.findMany({ where: { name, isLive: true } }))).map(
      ({ version }) => version,
    );

  it('goes live as it is imported', async () => {
    await scene.import(modelFolder(named('versions', 1)));
    expect(await live('versions')).toEqual([1]);
    await scene.import(modelFolder(named('versions', 2)));
    expect(await live('versions')).toEqual([2]);
  });

  it('imported again with the same content is left as it is, wherever its files lie', async () => {
    const first = await scene.import(modelFolder(named('again')));
    const before = await scene.contents();
    const second = await scene.import(modelFolder(named('again', 1, { file: './tiny.onnx' })));
    expect(second).toEqual(first);
    expect(await scene.contents()).toEqual(before);
    expect(scene.logged.at(-1)).toContain('imported already');
  });

  it.each([
    ['file', { graph: { head: 'Softmax' as const } }],
    ['labels', { labels: 'ant\nbee\ncat\nemu\n' }],
    ['manifest', { manifest: { name: 'taken', unitsPerImage: 9 } }],
  ])('that is taken is not replaced by another %s', async (_, other) => {
    await scene.import(modelFolder(named('taken')));
    const before = await scene.contents();
    await expect(scene.import(modelFolder({ ...named('taken'), ...other }))).rejects.toThrow(
      'with other content',
    );
    expect(await scene.contents()).toEqual(before);
  });

  it('imported again brings back an artefact that the store has lost', async () => {
    const first = await scene.import(modelFolder(named('lost')));
    const path = scene.artifacts.path(first.variants[0]!.artifactSha256);
    const bytes = readFileSync(path);
    rmSync(path);
    expect(await scene.import(modelFolder(named('lost')))).toEqual(first);
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('imported again repairs an artefact that was damaged', async () => {
    const first = await scene.import(modelFolder(named('damaged')));
    const path = scene.artifacts.path(first.variants[0]!.artifactSha256);
    const bytes = readFileSync(path);
    writeFileSync(path, Buffer.alloc(bytes.length));
    expect(await scene.import(modelFolder(named('damaged')))).toEqual(first);
    expect(readFileSync(path)).toEqual(bytes);
  });

  it('imported twice at the same moment is stored once', async () => {
    const models = await Promise.all([1, 2].map(() => scene.import(modelFolder(named('at-once')))));
    expect(models[0]!.id).toBe(models[1]!.id);
  });

  /** A graph whose bytes are others than those of any other test's. */
  const taking = (input: string) => ({
    input: { name: input, type: 'FLOAT', shape: ['N', 3, 4, 6] } as const,
  });

  it('that another import takes meanwhile leaves no file of the one that came too late', async () => {
    const before = await scene.contents();
    const settled = await Promise.allSettled(
      ['one', 'two'].map((input) =>
        scene.import(modelFolder({ ...named('contested'), graph: taking(input) })),
      ),
    );
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const after = await scene.contents();
    expect(after).toMatchObject({ models: before.models + 1, variants: before.variants + 1 });
    expect(after.files).toHaveLength(before.files.length + 1);
  });

  it('whose row cannot be written leaves no file', async () => {
    const before = await scene.contents();
    const nobody = '01900000-0000-7000-8000-000000000000';
    const folder = modelFolder({ ...named('nobody'), graph: taking('other') });
    await expect(scene.import(folder, nobody)).rejects.toThrow('model_tenant_id_fkey');
    expect(await scene.contents()).toEqual(before);
  });
});
