import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModel } from '../../src/models/onnx/model-file.ts';
import { type ExternalPlace, moveWeightsOut } from '../support/external-data.ts';
import { failsOnWhiteModel } from '../support/onnx-fixture.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';
import { modelFolder, tiny } from './model-folder.ts';
import { tinyClassifier } from './tiny-classifier.ts';

let scene: ImportScene;

beforeAll(async () => {
  scene = await openImportScene();
});
afterAll(() => scene.close());

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const BYTES = tiny.size * tiny.classes * 4;

interface Scenario {
  readonly name?: string;
  readonly version?: number;
  /** Of the tiny classifier's one tensor of weights. */
  readonly place?: ExternalPlace;
  /** Of the manifest. */
  readonly unitsPerImage?: number;
  /** What the weights are multiplied with: others of the same length. */
  readonly gain?: number;
}

/** The tiny classifier with its weights in `weights.bin` beside it. */
function externalFolder({
  name = 'refused',
  version = 1,
  place = { location: 'weights.bin' },
  unitsPerImage = 1,
  gain = 1,
}: Scenario = {}) {
  const { graph, weights } = moveWeightsOut(tinyClassifier(tiny), () => place);
  const values = new Float32Array(weights.get('weights')!.buffer).map((weight) => weight * gain);
  const bytes = new Uint8Array(values.buffer);
  const manifest = modelFolder({ file: graph, manifest: { name, version, unitsPerImage } });
  const path = join(dirname(manifest), 'weights.bin');
  writeFileSync(path, bytes);
  return { manifest, path, bytes };
}

describe('a model whose weights lie in other files', () => {
  it('is stored with them, each by its hash', async () => {
    const { manifest, bytes } = externalFolder({ name: 'one-file' });
    const { variants } = await scene.import(manifest);
    const { artifactSha256, externalData, sizeBytes } = variants[0]!;
    expect(externalData).toEqual([sha256(bytes)]);
    expect(readFileSync(scene.artifacts.path(externalData[0]!))).toEqual(Buffer.from(bytes));
    const graph = readFileSync(scene.artifacts.path(artifactSha256));
    expect(sizeBytes).toBe(graph.length + bytes.length);
    expect(readModel(graph).graph.initializer[0]!.externalData).toMatchObject([
      { key: 'location', value: `${externalData[0]!.slice(0, 2)}/${externalData[0]}` },
    ]);
    const [row] = await scene.database.asOperator((tx) =>
      tx.model.findMany({ where: { name: 'one-file' }, include: { variants: true } }),
    );
    expect(row!.manifest).toMatchObject({
      sha256: sha256(readFileSync(join(dirname(manifest), 'tiny.onnx'))),
    });
    expect(row!.variants[0]).toMatchObject({ externalData });
    expect(readdirSync(scene.artifacts.dir)).toEqual(['sha256']);
  });

  it('may have them in several files, at offsets, in folders below its own', async () => {
    const places: Record<string, ExternalPlace> = {
      nearly_white: { location: 'parts/first.bin', offset: '4096', length: '4' },
      one_element: { location: './second.bin', offset: '0' },
    };
    const { graph, weights } = moveWeightsOut(failsOnWhiteModel(4), (tensor) => places[tensor]!);
    const files = {
      'parts/first.bin': Buffer.concat([Buffer.alloc(4096), weights.get('nearly_white')!, Buffer.alloc(8)]),
      'second.bin': Buffer.from(weights.get('one_element')!),
    };
    const manifest = modelFolder({
      labels: 'red\ngreen\nblue\n',
      manifest: { name: 'several', file: 'below/model.onnx', input: { width: 4, height: 4 } },
    });
    const folder = join(dirname(manifest), 'below');
    mkdirSync(join(folder, 'parts'), { recursive: true });
    writeFileSync(join(folder, 'model.onnx'), graph);
    for (const [path, bytes] of Object.entries(files)) writeFileSync(join(folder, path), bytes);
    const { variants } = await scene.import(manifest);
    expect(variants[0]!.externalData).toEqual(Object.values(files).map(sha256));
    expect(variants[0]!.maxBatch).toBe(8);
  });

  it('shares with another version what is the same in both, which is stored once', async () => {
    const versions = [1, 2].map((version) =>
      externalFolder({ name: 'shared', version, unitsPerImage: version, gain: 2 }),
    );
    const first = await scene.import(versions[0]!.manifest);
    const { files } = await scene.contents();
    const second = await scene.import(versions[1]!.manifest);
    expect(second.variants[0]!.externalData).toEqual(first.variants[0]!.externalData);
    expect((await scene.contents()).files).toEqual(files);
  });

  it('is left as it is where it is imported already', async () => {
    const { manifest } = externalFolder({ name: 'again', gain: 3 });
    const first = await scene.import(manifest);
    const before = await scene.contents();
    expect(await scene.import(manifest)).toEqual(first);
    expect(await scene.contents()).toEqual(before);
    expect(scene.logged.at(-1)).toContain('imported already');
  });

  it('is another one with other weights, though its graph is the same', async () => {
    await scene.import(externalFolder({ name: 'taken', gain: 4 }).manifest);
    const before = await scene.contents();
    const other = externalFolder({ name: 'taken', gain: 5 });
    await expect(scene.import(other.manifest)).rejects.toThrow('with other content');
    expect(await scene.contents()).toEqual(before);
  });

  it.each<[string, (path: string) => void]>([
    ['lost', rmSync],
    ['damaged', (path) => writeFileSync(path, Buffer.alloc(BYTES))],
  ])('gets weights back that were %s when it is imported again', async (what, spoil) => {
    const { manifest, bytes } = externalFolder({ name: what, gain: what.length });
    const first = await scene.import(manifest);
    const path = scene.artifacts.path(first.variants[0]!.externalData[0]!);
    spoil(path);
    expect(await scene.import(manifest)).toEqual(first);
    expect(readFileSync(path)).toEqual(Buffer.from(bytes));
  });
});

describe('a graph is refused, and nothing kept of it, whose weights', () => {
  const refusal = async ({ manifest }: { manifest: string }) => {
    const before = await scene.contents();
    const error = await scene.import(manifest).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ManifestError' });
    expect(await scene.contents()).toEqual(before);
    expect(readdirSync(scene.artifacts.dir)).toEqual(['sha256']);
    return (error as Error).message;
  };
  const whole = `${BYTES} bytes, as its type and shape give`;

  it.each<[string, ExternalPlace, string]>([
    [
      'are in a file that is missing',
      { location: 'shard-2.bin' },
      `file: found tensor 'weights' kept in "shard-2.bin", which does not exist; wanted a file within`,
    ],
    [
      'lie outside',
      { location: '../weights.bin' },
      `tensor 'weights' kept in "../weights.bin"; wanted a file`,
    ],
    ['lead outside', { location: 'a/../../b' }, `tensor 'weights' kept in "a/../../b"; wanted a file beside`],
    ['are named absolutely', { location: '/etc/passwd' }, `tensor 'weights' kept in "/etc/passwd"; wanted a`],
    ['are a folder', { location: '.' }, `tensor 'weights' kept in `],
    ['have no place', { location: '' }, 'without its location'],
    [
      'are too short',
      { location: 'weights.bin', length: '12' },
      `of 12 bytes in "weights.bin"; wanted ${whole}`,
    ],
    ['are too long', { location: 'weights.bin', length: '9999' }, `wanted ${whole}`],
    [
      'pass the end of their file',
      { location: 'weights.bin', offset: '4' },
      `at bytes 4 to ${BYTES + 4} of "weights.bin"; wanted bytes within that file, which has ${BYTES}`,
    ],
    ['begin before it', { location: 'weights.bin', offset: '-4' }, `at offset "-4" of "weights.bin"; wanted`],
  ])('%s', async (_, place, part) => {
    expect(await refusal(externalFolder({ place }))).toContain(part);
  });

  it('are reached by a link that leads outside', async () => {
    const inside = externalFolder();
    const outside = externalFolder();
    rmSync(inside.path);
    symlinkSync(outside.path, inside.path);
    expect(await refusal(inside)).toContain('a link that leads outside');
  });

  it('are whole, but not what the graph answers by', async () => {
    expect(await refusal(externalFolder({ gain: Number.NaN }))).toMatch(/finite|number/);
  });
});
