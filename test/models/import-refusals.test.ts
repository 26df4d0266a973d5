import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Lifetime } from '../../src/lib/lifetime.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { readModel, writeModel } from '../../src/models/onnx/model-file.ts';
import { withTrials } from '../../src/models/trials.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';
import { type ModelFolder, modelFolder, tiny } from './model-folder.ts';
import { tinyClassifier } from './tiny-classifier.ts';
import { hasProc, readProc, trialProcesses } from './trial-processes.ts';

let scene: ImportScene;

beforeAll(async () => {
  scene = await openImportScene();
});
afterAll(() => scene.close());

/** Imports in vain, and sees that nothing is left of it. */
async function refusal(folder: ModelFolder): Promise<string> {
  const before = await scene.contents();
  const error = await scene.import(modelFolder(folder)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'ManifestError' });
  expect(await scene.contents()).toEqual(before);
  expect(scene.announced).toEqual([]);
  return (error as Error).message;
}

const shape = (...lengths: (number | string)[]) => ({ graph: { input: { ...tiny.input, shape: lengths } } });
const input = (fields: Record<string, unknown>) => ({
  manifest: { input: { width: 6, height: 4, ...fields } },
});
const withTwoOutputs = () => {
  const model = readModel(tinyClassifier(tiny));
  model.graph.output.push({ ...model.graph.output[0]!, name: 'flat' });
  return writeModel(model);
};

describe('a manifest that does not fit its graph is refused with tensor, shape and type', () => {
  const tensor = "tensor 'input' FLOAT [N,3,4,6]";
  it.each<[string, ModelFolder, string[]]>([
    ['width', input({ width: 7 }), ['input.width: found 7; wanted 6', tensor]],
    ['height', input({ height: 6 }), ['input.height: found 6; wanted 4', tensor]],
    ['layout', input({ layout: 'NHWC' }), ['input.height: found 4; wanted 3', '(NHWC)']],
    ['colour', input({ color: 'GRAY' }), ['input.layout', tensor, '1 channels as color is GRAY']],
    ['channels', shape('N', 5, 4, 6), ['[N,5,4,6]', '3 channels as color is RGB']],
    [
      'a shape that allows both layouts',
      { ...shape('N', 3, 4, 3), ...input({ width: 3 }) },
      ['input.layout', 'allows both'],
    ],
    ['rank', shape('N', 72), ["tensor 'input' FLOAT [N,72]; wanted rank 4"]],
    ['a batch of four', shape(4, 3, 4, 6), ['a batch fixed at 4']],
    [
      'type',
      { graph: { input: { ...tiny.input, type: 'DOUBLE' } } },
      ["'input' DOUBLE [N,3,4,6]; wanted type FLOAT or UINT8"],
    ],
    [
      'a scale for bytes',
      { graph: { input: { ...tiny.input, type: 'UINT8' } } },
      ['input.scale: found 0.00392', 'pixels as they are'],
    ],
    ['labels', { labels: 'ant\nbee\n' }, ['labels: found 2 lines; wanted 4']],
    ['an empty label', { labels: 'ant\n\ncat\ndog\n' }, ['nothing in line 2']],
    ['labels of another encoding', { labels: Buffer.from('\xe9', 'latin1') }, ['bytes that are no UTF-8']],
    [
      'background',
      { manifest: { output: { kind: 'logits', background: 4 } } },
      ['output.background: found 4; wanted a column below 4'],
    ],
    [
      'several outputs',
      { file: withTwoOutputs() },
      ['output.scores: found nothing', "'scores' FLOAT [1,4], 'flat' FLOAT [1,72]"],
    ],
    ['sha256', { manifest: { sha256: 'a'.repeat(64) } }, ['sha256: found aaaa', 'the SHA-256 of tiny.onnx']],
    ['an old opset', { graph: { opset: 6 } }, ['found opset 6; wanted opset 7']],
    ['no ONNX file', { file: Buffer.from('not a model') }, ['file: found not an ONNX file']],
    ['an empty file', { file: new Uint8Array() }, ['file: found not an ONNX file']],
  ])('%s', async (_, folder, parts) => {
    const message = await refusal(folder);
    for (const part of parts) expect(message).toContain(part);
  });

  it('with all faults at once', async () => {
    const message = await refusal(input({ width: 7, height: 7 }));
    for (const part of ['input.width', 'input.height']) expect(message).toContain(part);
  });
});

describe('a graph that cannot be served is refused after a trial in a process of its own', () => {
  it.each<[string, ModelFolder, string]>([
    ['that the runtime does not know', { graph: { head: 'NoSuchOperator' } }, 'NoSuchOperator'],
    ['that answers what is no number', { graph: { head: 'Log' } }, 'wanted finite numbers'],
    [
      'that does not look at the picture',
      { graph: { head: 'nothing of the picture' } },
      'for 5 pictures that differ',
    ],
    [
      'whose logits are probabilities',
      { graph: { head: 'Softmax' } },
      'that sum to 1; wanted "probabilities"',
    ],
    [
      'whose probabilities are none',
      { manifest: { output: { kind: 'probabilities' } } },
      'output.kind: found "probabilities"',
    ],
    [
      'that declares other scores than it answers',
      { graph: { classes: 5, output: { name: 'scores', shape: ['N', 'C'] } } },
      'labels: found 4 lines; wanted 5',
    ],
  ])('%s', async (_, folder, part) => {
    expect(await refusal(folder)).toContain(part);
  });

  it.skipIf(!hasProc)(
    'that takes its process down: this one lives on, and says so (needs /proc)',
    async () => {
      const refused = refusal({ graph: { head: 'endless' } });
      const pid = await trialUnderWay();
      process.kill(pid, 'SIGKILL');
      expect(await refused).toContain('a graph that ended the process it was tried in');
    },
  );

  it.skipIf(!hasProc).each(['close', 'killNow'] as const)(
    'that never ends does not outlive the import: the process is ended by %s (needs /proc)',
    async (end) => {
      const lifetime = new Lifetime(createLogger('silent'));
      const refused = expect(
        withTrials({ artifacts: scene.artifacts, lifetime }, (trials) =>
          scene.import(modelFolder({ graph: { head: 'endless' } }), null, trials),
        ),
      ).rejects.toThrow('a graph that ended the process it was tried in');
      const pid = await trialUnderWay();
      await lifetime[end]();
      await refused;
      expect(readProc(pid, 'status')).toBe('');
    },
  );
});

/** The id of the process that a graph is being tried in, once it was given the graph. */
function trialUnderWay(): Promise<number> {
  const given = () => trialProcesses().find(({ store }) => existsSync(`${store}/sha256`))?.pid;
  return vi.waitUntil(given, { timeout: 20_000 });
}
