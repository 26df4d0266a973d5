import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Fault, ManifestError } from '../../src/models/manifest-error.ts';
import { readManifest } from '../../src/models/read-manifest.ts';

const minimal = {
  name: 'tiny',
  version: 1,
  task: 'CLASSIFY',
  format: 'onnx',
  file: 'model.onnx',
  input: { width: 8, height: 6 },
  output: { kind: 'logits' },
  labels: 'labels.txt',
};

let root: string;
let folder: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  folder = join(root, 'model');
  mkdirSync(join(folder, 'sub'), { recursive: true });
  for (const file of [
    'model/model.onnx',
    'model/labels.txt',
    'model/sub/labels.txt',
    'secret.txt',
    'model2.txt',
  ]) {
    writeFileSync(join(root, file), 'x');
  }
  symlinkSync(join(root, 'secret.txt'), join(folder, 'link.txt'));
  symlinkSync(root, join(folder, 'up'));
  symlinkSync('sub/labels.txt', join(folder, 'inner.txt'));
});

afterAll(() => rmSync(root, { recursive: true }));

function read(manifest: unknown) {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  return readManifest(path);
}

async function faultsOf(manifest: unknown): Promise<readonly Fault[]> {
  const error = await read(manifest).catch((thrown: unknown) => thrown);
  if (!(error instanceof ManifestError)) throw new Error('the manifest was taken');
  for (const { path, found, wanted } of error.faults) {
    expect(error.message).toContain(`${path || 'manifest'}: found ${found}; wanted ${wanted}`);
  }
  return error.faults;
}

/** `minimal` with one field replaced, by a path like `input.width`; undefined takes it out. */
function withField(path: string, value: unknown): unknown {
  const [first = '', second] = path.split('.');
  const manifest: Record<string, unknown> = structuredClone(minimal);
  if (second === undefined) manifest[first] = value;
  else manifest[first] = { ...(manifest[first] as object), [second]: value };
  return manifest;
}

describe('a manifest', () => {
  it('has the defaults that its format states', async () => {
    const { manifest, modelPath } = await read(minimal);
    expect(manifest.input).toEqual({
      ...{ layout: null, width: 8, height: 6, fit: 'fill', resizeShort: null, align: 'center', pad: 0 },
      ...{ color: 'RGB', scale: 1, mean: 0, std: 1 },
    });
    expect(manifest.output).toEqual({ kind: 'logits', background: null });
    expect(manifest).toMatchObject({ unitsPerImage: 1, maxQueueDelayMs: 0 });
    expect(modelPath.endsWith('/model/model.onnx')).toBe(true);
  });

  it.each([
    ['name', '../up', 'a name like [A-Za-z0-9]'],
    ['name', undefined, 'a string'],
    ['version', 0, '1 or more'],
    ['version', 1.5, 'a whole number'],
    ['task', 'GUESS', 'one of "CLASSIFY", "DETECT", "SEGMENT"'],
    ['format', 'caffe', 'one of "onnx"'],
    ['file', undefined, 'a string'],
    ['sha256', 'ABC', 'a SHA-256'],
    ['license', 5, 'a string'],
    ['input', undefined, 'an object'],
    ['input.layout', 'HWC', 'one of "NCHW", "NHWC"'],
    ['input.width', 'wide', 'a number'],
    ['input.height', 0, '1 or more'],
    ['input.fit', 'stretch', 'one of "cover", "contain", "fill"'],
    ['input.align', 'left', 'one of "center", "top-left"'],
    ['input.pad', 256, '255 or less'],
    ['input.color', 'YUV', 'one of "RGB", "BGR", "GRAY"'],
    ['input.scale', 0, 'a number other than 0'],
    ['input.mean', 'x', 'a number, or a list'],
    ['input.mean', [1, 2], '3 of them as color is RGB'],
    ['input.std', [1, 0, 1], 'other than 0'],
    ['input.colour', 'RGB', 'none of that name'],
    ['output', undefined, 'an object'],
    ['output.kind', 'scores', 'one of "logits", "probabilities", "yolov5"'],
    ['output.background', -1, '0 or more'],
    ['labels', undefined, 'a string'],
    ['unitsPerImage', 0, '1 or more'],
    ['maxQueueDelayMs', -1, '0 or more'],
    ['maxQueueDelayMs', 10_001, '10000 or less'],
  ])('with a faulty %s (%j) is refused', async (path, value, wanted) => {
    const faults = await faultsOf(withField(path, value));
    expect(faults).toHaveLength(1);
    expect(faults[0]!.path.startsWith(path)).toBe(true);
    expect(faults[0]!.wanted).toContain(wanted);
    if (value === undefined) expect(faults[0]!.found).toBe('nothing');
  });

  it('is refused with all its faults at once', async () => {
    const faults = await faultsOf({
      ...minimal,
      version: 'one',
      file: '../secret.txt',
      task: 'GUESS',
      labels: 'none.txt',
    });
    expect(faults.map(({ path }) => path)).toEqual(['version', 'task', 'file', 'labels']);
  });

  it('whose pictures are too large for one request to a worker is refused', async () => {
    const input = { width: 2_400, height: 2_400 };
    expect(await faultsOf({ ...minimal, input })).toMatchObject([
      { path: 'input', found: '2400×2400, 5760000 pixels' },
    ]);
    await expect(read({ ...minimal, input: { width: 16_000, height: 300 } })).resolves.toBeDefined();
  });

  it('that crops more than is left of the picture is refused', async () => {
    const input = { width: 8, height: 6, fit: 'cover', resizeShort: 7 };
    expect(await faultsOf({ ...minimal, input })).toMatchObject([{ path: 'input.resizeShort', found: '7' }]);
  });

  it.each([['{'], ['[]'], ['null'], ['"text"']])('that is %s is no manifest', async (text) => {
    expect(await faultsOf(text)).toMatchObject([{ path: '' }]);
  });

  it('that does not exist is refused by its name', async () => {
    await expect(readManifest('/nowhere/manifest.json')).rejects.toThrow('/nowhere/manifest.json');
  });
});

const corners = ['x1', 'y1', 'x2', 'y2', 'score', 'class'];
const boxesScores = { kind: 'boxes-scores', boxes: 'b', scores: 's', format: 'xyxy', normalized: true };
const ssd = { ...boxesScores, kind: 'ssd', classes: 'c', count: 'n' };
const detections = { kind: 'detections', columns: corners, normalized: false };
const anchors = [[10, 13, 16, 30]];

describe('the output of a manifest', () => {
  it.each([
    ['CLASSIFY', { kind: 'logits' }, { background: null }],
    ['DETECT', { kind: 'yolox', strides: [8, 16, 32] }, {}],
    ['DETECT', { kind: 'yolov8', strides: [8, 16, 32], tensor: 't' }, {}],
    ['DETECT', { kind: 'yolov5', strides: [8] }, { anchors: null }],
    ['DETECT', { kind: 'yolov5', strides: [8], anchors }, {}],
    ['DETECT', { kind: 'nanodet', strides: [8], regMax: 7 }, {}],
    ['DETECT', boxesScores, { background: null }],
    ['DETECT', ssd, {}],
    ['DETECT', detections, {}],
    ['DETECT', { ...detections, columns: ['batch', 'class', 'score', 'x', 'y', 'w', 'h'] }, {}],
    ['SEGMENT', { kind: 'mask-logits' }, { layout: 'NCHW', background: 0 }],
    ['SEGMENT', { kind: 'mask-probabilities', layout: 'NHWC', background: null }, {}],
    ['SEGMENT', { kind: 'labels' }, { background: 0 }],
  ])('of %s may be %j', async (task, output, defaults) => {
    const { manifest } = await read({ ...minimal, task, output });
    expect(manifest.output).toEqual({ ...output, ...defaults });
  });

  it.each([
    ['DETECT', { kind: 'mask-logits' }, 'output.kind', 'one of "yolov5", "yolov8", "yolox", "nanodet"'],
    ['SEGMENT', { kind: 'yolox', strides: [8] }, 'output.kind', 'the kinds of SEGMENT'],
    ['CLASSIFY', { kind: 'labels' }, 'output.kind', 'one of "logits", "probabilities"'],
    ['DETECT', { kind: 'yolox' }, 'output.strides', 'an array'],
    ['DETECT', { kind: 'yolov5', strides: [8, 16], anchors }, 'output.anchors', '2 lists, one a stride'],
    [
      'DETECT',
      { kind: 'yolov5', strides: [8], anchors: [[1, 2, 3]] },
      'output.anchors',
      'a width and a height',
    ],
    ['DETECT', { ...ssd, format: 'cxcywh' }, 'output.format', 'one of "yxyx", "xyxy"'],
    ['DETECT', { ...detections, columns: corners.slice(1) }, 'output.columns', 'x1 y1 x2 y2, or cx cy w h'],
    ['DETECT', { ...detections, columns: [...corners, 'w'] }, 'output.columns', 'once'],
    ['DETECT', { ...detections, columns: ['left'] }, 'output.columns.0', 'one of "x1"'],
  ])('of %s cannot be %j', async (task, output, path, wanted) => {
    const faults = await faultsOf({ ...minimal, task, output });
    expect(faults).toMatchObject([{ path }]);
    expect(faults[0]!.wanted).toContain(wanted);
  });
});

describe('a SavedModel', () => {
  it('may be named by its folder', async () => {
    mkdirSync(join(folder, 'exported'), { recursive: true });
    writeFileSync(join(folder, 'exported/saved_model.pb'), '');
    for (const file of ['exported', 'exported/', 'exported/saved_model.pb']) {
      const { modelPath } = await read({ ...minimal, format: 'saved-model', file });
      expect(modelPath).toBe(realpathSync(join(folder, 'exported/saved_model.pb')));
    }
  });

  it('is looked for within the folder of the manifest alone', async () => {
    const faults = await faultsOf({ ...minimal, format: 'saved-model', file: '..' });
    expect(faults).toMatchObject([{ path: 'file' }]);
  });
});

describe("the files of a manifest stay within its folder: it cannot make the server read another's", () => {
  it.each([
    ['../secret.txt', 'leads outside'],
    ['sub/../../secret.txt', 'leads outside'],
    ['../model2.txt', 'leads outside'],
    ['/etc/passwd', 'absolute'],
    ['link.txt', 'a link that leads outside'],
    ['up/secret.txt', 'a link that leads outside'],
    ['sub', 'no file'],
    ['.', 'outside'],
    ['none.txt', 'does not exist'],
    ['model.onnx\u0000.txt', ''],
  ])('%j', async (path, found) => {
    for (const field of ['file', 'labels']) {
      const faults = await faultsOf({ ...minimal, [field]: path });
      expect(faults).toMatchObject([{ path: field }]);
      expect(faults[0]!.found).toContain(found);
    }
  });

  it('a folder below and a link within are fine', async () => {
    await expect(read({ ...minimal, labels: 'sub/labels.txt' })).resolves.toBeDefined();
    await expect(read({ ...minimal, labels: 'inner.txt' })).resolves.toBeDefined();
  });
});
