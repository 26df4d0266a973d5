import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outputTensors } from '../../src/inference/variant.ts';
import { describeGraph, type GraphTensor } from '../../src/models/onnx/describe.ts';
import { TensorProto_DataType } from '../../src/models/onnx/generated/onnx_pb.ts';
import { readModel } from '../../src/models/onnx/model-file.ts';
import { Trials } from '../../src/models/trials.ts';
import { type ImportScene, openImportScene } from './import-scene.ts';
import { modelFolder } from './model-folder.ts';
import { floats, integers, node, type OddGraph, oddGraph } from './odd-graph.ts';

const { FLOAT16, DOUBLE, INT64, BOOL } = TensorProto_DataType;

let scene: ImportScene;
/** One process for all that is taken: to start one takes longer than to try a graph. */
let trials: Trials | undefined;
let models = 0;

beforeAll(async () => {
  scene = await openImportScene();
  trials = new Trials({ artifacts: scene.artifacts });
});
afterAll(async () => {
  await trials?.end();
  await scene.close();
});

/** A model's folder, under a name of its own. */
function odd(graph: OddGraph, manifest: Record<string, unknown> = {}, labels?: string): string {
  models += 1;
  return modelFolder({
    file: oddGraph(graph),
    manifest: { name: `odd-${models}`, ...manifest },
    ...(labels !== undefined && { labels }),
  });
}

async function importOdd(...described: Parameters<typeof odd>) {
  const { variants } = await scene.import(odd(...described), null, trials);
  const [variant] = variants;
  const stored = describeGraph(readModel(readFileSync(scene.artifacts.path(variant!.artifactSha256))));
  const outputs = Object.fromEntries(stored.outputs.map((each): [string, GraphTensor] => [each.name, each]));
  expect(Object.keys(outputs)).toEqual(outputTensors(variant!.output));
  return { variant: variant!, input: stored.inputs[0]!, outputs };
}

const scores = (shape: OddGraph['outputs'][number][2], type: 'FLOAT' | 'FLOAT16' | 'DOUBLE' = 'FLOAT') =>
  [['scores', type, shape]] as const;
const plain: OddGraph = { size: 4, nodes: [node('Neg', ['sums'], ['scores'])], outputs: scores(['N', 4]) };
const masks = { task: 'SEGMENT', output: { kind: 'labels' } };
/** `sums` as four classes on 3×2 pixels, and the best class of each pixel. */
const argMax = [
  node('Reshape', ['sums', 'to'], ['maps']),
  node('ArgMax', ['maps'], ['best'], { axis: 1, keepdims: 0 }),
];
const mapShape = [integers('to', [-1, 4, 3, 2])];

describe('a batch of one', () => {
  it.each<[string, OddGraph]>([
    ['that only its input and output declare', { ...plain, batch: 1, outputs: scores([1, 4]) }],
    ['that the output alone declares', { ...plain, outputs: scores([1, 4]) }],
    [
      'that a constant holds',
      {
        ...{ ...plain, batch: 1, constants: [integers('to', [1, 4])], outputs: scores([1, 4]) },
        nodes: [node('Reshape', ['sums', 'to'], ['scores'])],
      },
    ],
    [
      'that a constant holds, against what is declared',
      { ...plain, constants: [integers('to', [1, 4])], nodes: [node('Reshape', ['sums', 'to'], ['scores'])] },
    ],
  ])('%s becomes a free one', async (_, graph) => {
    const { variant, input, outputs } = await importOdd(graph);
    expect(variant.maxBatch).toBe(8);
    expect(input.shape).toEqual(['N', 4, 6, 3]);
    expect(outputs.scores!.shape).toEqual(['N', 4]);
  });

  it('that cannot be freed stays, and pictures are served one by one', async () => {
    const { variant, input } = await importOdd({
      ...{ ...plain, batch: 1, constants: [integers('to', [2, 2]), integers('back', [1, 4])] },
      nodes: [
        node('Reshape', ['sums', 'to'], ['folded']),
        node('Transpose', ['folded'], ['turned'], { perm: [1, 0] }),
        node('Reshape', ['turned', 'back'], ['scores']),
      ],
      outputs: scores([1, 4]),
    });
    expect(variant.maxBatch).toBe(1);
    expect(input.shape).toEqual([1, 4, 6, 3]);
    expect(scene.logged.at(-2)).toContain('served one picture at a time');
  });
});

describe('a graph that mixes the pictures of a batch is served one by one', () => {
  const mixed = [
    node('ReduceMean', ['sums'], ['mean'], { axes: [0], keepdims: 1 }),
    node('Add', ['sums', 'mean'], ['mixed']),
  ];
  const list = {
    output: { kind: 'detections', columns: ['x1', 'y1', 'x2', 'y2', 'score', 'class'], normalized: false },
  };
  it.each<[string, OddGraph, Record<string, unknown>, string]>([
    [
      'where it answers all proof pictures alike',
      {
        ...{ size: 24, batch: 1, outputs: [['map', 'INT64', [1, 3, 2]]] },
        constants: [integers('to', [1, 4, 3, 2]), floats('bias', [1e5, 0, 0, 0], [1, 4, 1, 1])],
        nodes: [
          ...mixed,
          node('Reshape', ['mixed', 'to'], ['maps']),
          node('Add', ['maps', 'bias'], ['biased']),
          node('ArgMax', ['biased'], ['map'], { axis: 1, keepdims: 0 }),
        ],
      },
      masks,
      'it answers all proof pictures alike',
    ],
    [
      'where 99 rows of a hundred fill up its list',
      {
        ...{ size: 6, batch: 1, outputs: [['list', 'FLOAT', [1, 100, 6]]] },
        constants: [
          integers('to', [1, 1, 6]),
          floats('box', [1, 1, 1, 1, 0, 0], [1, 1, 6]),
          floats('score', [0, 0, 0, 0, 0.5, 0], [1, 1, 6]),
          floats('padding', Array(99 * 6).fill(0), [1, 99, 6]),
        ],
        nodes: [
          ...mixed,
          node('Reshape', ['mixed', 'to'], ['row']),
          node('Mul', ['row', 'box'], ['boxed']),
          node('Add', ['boxed', 'score'], ['object']),
          node('Concat', ['object', 'padding'], ['list'], { axis: 1 }),
        ],
      },
      { task: 'DETECT', ...list },
      'more than 0 rows that are others',
    ],
    [
      'where one class is masked by a huge number',
      {
        ...{ size: 4, batch: 1, outputs: scores([1, 4]) },
        constants: [floats('mask', [-1e9, 0, 0, 0], [1, 4])],
        nodes: [...mixed, node('Add', ['mixed', 'mask'], ['scores'])],
      },
      { output: { kind: 'logits' } },
      'where 8 pictures are answered at once',
    ],
    [
      'where it turns the order of three round, and no other',
      {
        ...{ size: 4, outputs: scores(['N', 4]) },
        constants: [
          integers('three', [3]),
          integers('last', [-1]),
          integers('past', [-9]),
          integers('zero', [0]),
        ],
        nodes: [
          node('Shape', ['sums'], ['shape']),
          node('Gather', ['shape', 'zero'], ['batch']),
          node('Equal', ['batch', 'three'], ['isThree']),
          node('Slice', ['sums', 'last', 'past', 'zero', 'last'], ['turned']),
          node('Where', ['isThree', 'turned', 'sums'], ['scores']),
        ],
      },
      {},
      'where 3 pictures are answered at once',
    ],
  ])('%s', async (_, graph, manifest, reason) => {
    const { variant } = await importOdd(graph, manifest);
    expect(variant.maxBatch).toBe(1);
    expect(scene.logged.at(-2)).toContain(reason);
  });
});

describe('an output', () => {
  it.each([8, 11, 13])('without a batch axis gets one (opset %i)', async (opset) => {
    const nodes = [node('Reshape', ['sums', 'to'], ['scores'])];
    const { variant, outputs } = await importOdd({
      ...{ ...plain, opset, batch: 1, nodes, constants: [integers('to', [4])], outputs: scores([4]) },
    });
    expect(variant).toMatchObject({ maxBatch: 1, output: { tensor: 'scores' } });
    expect(outputs.scores).toMatchObject({ type: 'FLOAT' });
  });

  it.each([
    ['FLOAT16', FLOAT16],
    ['DOUBLE', DOUBLE],
  ] as const)('of type %s is answered as FLOAT under the same name', async (type, to) => {
    const nodes = [node('Cast', ['sums'], ['scores'], { to }), node('Neg', ['scores'], ['unread'])];
    const outputs = [['scores', type, ['N', 4]] as const, ['unread', type, ['N', 4]] as const];
    const manifest = { output: { kind: 'logits', scores: 'scores' } };
    const imported = await importOdd({ ...plain, nodes, outputs }, manifest);
    expect(imported.variant.maxBatch).toBe(8);
    expect(imported.outputs.scores!.type).toBe('FLOAT');
  });

  it('that is not declared at all is what the graph answers', async () => {
    const { variant } = await importOdd({ ...plain, outputs: scores(null) });
    expect(variant.maxBatch).toBe(8);
  });

  it('of class indices stays INT64', async () => {
    const nodes = [...argMax, node('Identity', ['best'], ['map'])];
    const outputs = [['map', 'INT64', ['N', 3, 2]]] as const;
    const imported = await importOdd({ size: 24, nodes, constants: mapShape, outputs }, masks);
    expect(imported.variant).toMatchObject({
      maxBatch: 8,
      output: { kind: 'labels', tensor: 'map', background: 0 },
    });
    expect(imported.outputs.map!.type).toBe('INT64');
  });

  it('of yes and no is one of class indices', async () => {
    const nodes = [...argMax, node('Cast', ['best'], ['map'], { to: BOOL })];
    const outputs = [['map', 'BOOL', ['N', 3, 2]]] as const;
    const graph = { size: 24, nodes, constants: mapShape, outputs };
    const imported = await importOdd(graph, masks, 'background\nobject\n');
    expect(imported.outputs.map!.type).toBe('INT64');
  });
});

describe('an input', () => {
  it.each<[string, OddGraph['input'], Record<string, unknown>]>([
    ['FLOAT [N,H,W,3]', { type: 'FLOAT', shape: ['N', 4, 6, 3] }, { scale: 1 / 255, color: 'BGR' }],
    ['UINT8 [N,3,H,W]', { type: 'UINT8', shape: ['N', 3, 4, 6] }, {}],
    ['UINT8 [1,3,H,W]', { type: 'UINT8', shape: [1, 3, 4, 6] }, { color: 'BGR' }],
    ['of free height and width', { type: 'FLOAT', shape: ['N', 3, 'H', 'W'] }, { layout: 'NCHW' }],
  ])('%s is wrapped', async (_, input, more) => {
    const manifest = { input: { width: 6, height: 4, ...more } };
    const imported = await importOdd({ ...plain, input: input! }, manifest);
    expect(imported.variant.maxBatch).toBe(8);
    expect(imported.input).toMatchObject({ type: 'UINT8', shape: ['N', 4, 6, 3] });
  });

  it('may stand beside initialisers that are listed as inputs', async () => {
    const { variant } = await importOdd({
      ...plain,
      irVersion: 3,
      opset: 8,
      batch: 1,
      outputs: scores([1, 4]),
    });
    expect(variant.maxBatch).toBe(8);
  });
});

// 26 is the newest that ONNX Runtime 1.30 reads.
it.each([8, 11, 13, 17, 21, 26])('opset %i is imported, batch freed and output cast', async (opset) => {
  const nodes = [
    node('Reshape', ['sums', 'to'], ['folded']),
    node('Cast', ['folded'], ['scores'], { to: FLOAT16 }),
  ];
  const constants = [integers('to', [1, 4])];
  const outputs = scores([1, 4], 'FLOAT16');
  const { variant } = await importOdd({ ...plain, opset, batch: 1, nodes, constants, outputs });
  expect(variant.maxBatch).toBe(8);
});

describe('refused after a trial, with nothing left behind, is a graph', () => {
  it.each<[string, OddGraph, string]>([
    ['that is newer than the runtime', { ...plain, opset: 27 }, 'found model'],
    [
      'with an operator of nobody',
      { ...plain, nodes: [node('Acme', ['sums'], ['scores'])] },
      'No Op registered for Acme',
    ],
    ['that is broken', { ...plain, nodes: [node('Neg', ['gone'], ['scores'])] }, "Node input 'gone'"],
    [
      'that answers no numbers',
      { ...plain, nodes: [node('Log', ['sums'], ['scores'])] },
      "found NaN in tensor 'scores'",
    ],
    [
      'that answers the same to all pictures',
      { ...plain, nodes: [node('Sub', ['sums', 'sums'], ['scores'])] },
      "the same numbers in tensor 'scores' for 5 pictures",
    ],
    [
      'that answers by chance',
      {
        ...plain,
        nodes: [node('RandomNormalLike', ['sums'], ['noise']), node('Add', ['sums', 'noise'], ['scores'])],
      },
      'two answers to one picture',
    ],
  ])('%s', async (_, graph, part) => {
    const before = await scene.contents();
    const message = await scene.import(odd(graph)).then(
      () => 'it was taken',
      (error: Error) => error.message,
    );
    expect(message).toContain(part);
    expect(message).not.toContain('onnxruntime_src');
    expect(await scene.contents()).toEqual(before);
  });

  it('of class indices that does not look at its input, however alike good ones are on noise', async () => {
    const nodes = [...argMax, node('Sub', ['best', 'best'], ['map'])];
    const outputs = [['map', 'INT64', ['N', 3, 2]]] as const;
    const alike = { size: 24, nodes, constants: mapShape, outputs };
    await expect(importOdd(alike, masks)).resolves.toMatchObject({ variant: { maxBatch: 1 } });
    const blind = {
      ...alike,
      nodes: [node('ConstantOfShape', ['where'], ['zeros']), node('Cast', ['zeros'], ['map'], { to: INT64 })],
      constants: [integers('where', [1, 3, 2])],
    };
    await expect(importOdd(blind, masks)).rejects.toThrow("the same numbers in tensor 'map'");
  });
});
