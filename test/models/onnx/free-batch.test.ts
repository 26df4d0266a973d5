import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { describeGraph } from '../../../src/models/onnx/describe.ts';
import { fixBatch, freeBatch } from '../../../src/models/onnx/free-batch.ts';
import { readModel, writeModel } from '../../../src/models/onnx/model-file.ts';
import { floats, integers, node, type OddGraph, oddGraph } from '../odd-graph.ts';

async function answersTo(graph: Uint8Array, pictures: readonly Float32Array[]): Promise<number[]> {
  const session = await InferenceSession.create(graph, { logSeverityLevel: 4 });
  try {
    const pixels = Float32Array.from(pictures.flatMap((picture) => [...picture]));
    const picture = new Tensor('float32', pixels, [pictures.length, 3, 4, 6]);
    const { answer } = await session.run({ picture });
    expect(answer!.dims[0]).toBe(pictures.length);
    return [...(answer!.data as Float32Array)];
  } finally {
    await session.release();
  }
}

const pictures = [1, 2, 3].map((seed) =>
  Float32Array.from({ length: 3 * 4 * 6 }, (_, index) => Math.cos(seed * 31 + index * 7)),
);

const one = { batch: 1, size: 12 } as const;
const answer = (...shape: number[]): OddGraph['outputs'] => [['answer', 'FLOAT', shape]];
const shapeOf = (name: string, values: number[]) =>
  node('Constant', [], [name], { value: integers(name, values) });

/** Each is written for one picture, and right for it alone. */
const graphs: Record<string, OddGraph> = {
  'no constant of its batch': { ...one, nodes: [node('Neg', ['sums'], ['answer'])], outputs: answer(1, 12) },
  'a Reshape to lengths that are all known': {
    ...one,
    nodes: [node('Reshape', ['sums', 'to'], ['answer'])],
    constants: [integers('to', [1, 3, 4])],
    outputs: answer(1, 3, 4),
  },
  'a Reshape that leaves one length open': {
    ...one,
    nodes: [shapeOf('to', [1, -1, 4]), node('Reshape', ['sums', 'to'], ['answer'])],
    outputs: answer(1, 3, 4),
  },
  'a Reshape that takes zeros as they are': {
    ...{ ...one, opset: 14 },
    nodes: [node('Reshape', ['sums', 'to'], ['answer'], { allowzero: 1 })],
    constants: [integers('to', [1, -1, 4])],
    outputs: answer(1, 3, 4),
  },
  'a constant that serves a Reshape of the picture and one of weights': {
    ...one,
    nodes: [
      node('Reshape', ['sums', 'to'], ['folded']),
      node('Reshape', ['bias', 'to'], ['folded_bias']),
      node('Add', ['folded', 'folded_bias'], ['answer']),
    ],
    constants: [integers('to', [1, -1, 4]), floats('bias', [...Array(12).keys()])],
    outputs: answer(1, 3, 4),
  },
  'a target put together of a constant and a length that the graph measures': {
    ...one,
    nodes: [
      node('Shape', ['sums'], ['lengths']),
      node('Gather', ['lengths', 'second'], ['length'], { axis: 0 }),
      node('Concat', ['first', 'length', 'last'], ['to'], { axis: 0 }),
      node('Reshape', ['sums', 'to'], ['answer']),
    ],
    constants: [integers('first', [1, 1]), integers('second', [1]), integers('last', [1])],
    outputs: answer(1, 1, 12, 1),
  },
  'lengths that are reshaped themselves': {
    ...one,
    nodes: [
      node('Shape', ['sums'], ['lengths']),
      node('Reshape', ['lengths', 'as_row'], ['row']),
      node('Reshape', ['row', 'flat_again'], ['to']),
      node('Reshape', ['sums', 'to'], ['answer']),
    ],
    constants: [integers('as_row', [1, -1]), integers('flat_again', [-1])],
    outputs: answer(1, 12),
  },
  'a Resize to a size': {
    ...one,
    nodes: [
      node('Reshape', ['sums', 'to'], ['small']),
      node('Resize', ['small', '', '', 'sizes'], ['answer'], { mode: 'nearest' }),
    ],
    constants: [integers('to', [1, 3, 2, 2]), integers('sizes', [1, 3, 4, 4])],
    outputs: answer(1, 3, 4, 4),
  },
  'a class token put before the patches': {
    ...one,
    nodes: [
      node('Reshape', ['sums', 'to'], ['patches']),
      node('Concat', ['token', 'patches'], ['answer'], { axis: 1 }),
    ],
    constants: [integers('to', [1, 3, 4]), floats('token', [9, 8, 7, 6], [1, 1, 4])],
    outputs: answer(1, 4, 4),
  },
  'statements about values between that hold for one picture': {
    ...one,
    nodes: [node('Neg', ['sums'], ['between']), node('Neg', ['between'], ['answer'])],
    valueInfo: [
      ['sums', 'FLOAT', [1, 12]],
      ['between', 'FLOAT', [1, 12]],
    ],
    outputs: answer(1, 12),
  },
};

describe('a graph written for one picture takes several once its batch is free', () => {
  it.each(Object.entries(graphs))('with %s', async (_, wish) => {
    const file = oddGraph(wish);
    const wanted: number[] = [];
    for (const picture of pictures) wanted.push(...(await answersTo(file, [picture])));
    const model = readModel(file);
    freeBatch(model, 'picture');
    const found = await answersTo(writeModel(model), pictures);
    expect(found).toHaveLength(wanted.length);
    for (const [index, value] of wanted.entries()) expect(found[index]).toBeCloseTo(value, 4);
    const [output] = describeGraph(model).outputs;
    expect(output!.shape![0]).toBe(describeGraph(model).inputs[0]!.shape![0]);
  });
});

it('a free batch takes no name that another length has', () => {
  const input = { type: 'FLOAT', shape: [1, 3, 'N', 'NN'] } as const;
  const nodes = [node('Neg', ['sums'], ['answer'])];
  const model = readModel(oddGraph({ ...one, input, nodes, outputs: answer(1, 12) }));
  freeBatch(model, 'picture');
  expect(describeGraph(model).inputs[0]!.shape).toEqual(['NNN', 3, 'N', 'NN']);
});

it('a batch that is fixed takes one picture, whatever was declared', () => {
  const nodes = [node('Neg', ['sums'], ['answer'])];
  const model = readModel(oddGraph({ size: 12, nodes, outputs: [['answer', 'FLOAT', ['M', 12]]] }));
  fixBatch(model, 'picture');
  expect(describeGraph(model)).toMatchObject({
    inputs: [{ shape: [1, 3, 4, 6] }],
    outputs: [{ shape: [1, 12] }],
  });
});
