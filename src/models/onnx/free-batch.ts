import { dependentsOf } from './dependents.ts';
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from './generated/onnx_pb.ts';
import { TensorProto_DataType } from './generated/onnx_pb.ts';
import type { OnnxModel } from './model-file.ts';
import { freeNames } from './names.ts';
import { constantNode, integer, node } from './nodes.ts';
import { graphsWithin } from './walk.ts';

/** Fixes the batch of the input and of the outputs at one picture. */
export function fixBatch(model: OnnxModel, input: string): void {
  setBatch(model, input, { case: 'dimValue', value: 1n });
}

/**
 * Frees the batch of a graph that was written for one picture at a time: its input's and its outputs' first dimension
 * become symbolic, what was stated of other values' shapes goes, and the places where exporters write a batch of 1 as a
 * constant take it from the picture's values instead. Those are targets of `Reshape`, sizes of `Resize`, and constants
 * that a `Concat` puts beside them (a transformer's class token). What else holds a batch of 1 stays: whether the graph
 * now takes several pictures, and answers to each as before, is for a run to show.
 */
export function freeBatch(model: OnnxModel, input: string): void {
  const { graph } = model;
  const free = freeNames(model);
  const dependents = dependentsOf(graph, input);
  const scene: Scene = { graph, free, dependsOnPicture: (name) => dependents.has(name) };
  graph.node = graph.node.flatMap((each) => {
    const rewrite = rewrites[each.opType];
    return rewrite === undefined ? [each] : [...rewrite(each, scene), each];
  });
  setBatch(model, input, { case: 'dimParam', value: unusedDimension(graph) });
}

interface Scene {
  readonly graph: GraphProto;
  readonly free: (wish: string) => string;
  readonly dependsOnPicture: (value: string) => boolean;
}

/** Each changes the inputs of its node, never a constant itself, which others may share; and answers the nodes it needs. */
const rewrites: Record<string, (each: NodeProto, scene: Scene) => NodeProto[]> = {
  Reshape: freeTarget,
  Resize: freeSizes,
  Concat: repeatConstants,
};

/**
 * A target that begins with 1 begins with "what is left" instead (-1): right wherever the batch comes first in the result.
 * Where another length is -1 already, it begins with "as it was" (0), which is right where the batch came first before.
 */
function freeTarget(reshape: NodeProto, { graph, free, dependsOnPicture }: Scene): NodeProto[] {
  const [data = '', target = ''] = reshape.input;
  if (!dependsOnPicture(data)) return [];
  const replaced = free(`${target}_any_batch`);
  const whole = integersOf(graph, target);
  if (whole !== null) {
    const [batch, ...rest] = whole;
    if (batch !== 1) return [];
    const first = rest.includes(-1) ? 0 : -1;
    if (first === 0) copyZeros(reshape);
    reshape.input[1] = replaced;
    return [constantNode(replaced, [first, ...rest], [whole.length], 'INT64')];
  }
  // Put together from constants and from lengths that the graph measures.
  const concat = producerOf(graph, target);
  if (concat?.opType !== 'Concat') return [];
  const [head, ...others] = concat.input.map((name) => integersOf(graph, name));
  if (head === null || head === undefined || head[0] !== 1) return [];
  const first = [...head.slice(1), ...others.flatMap((part) => part ?? [])].includes(-1) ? 0 : -1;
  if (first === 0) copyZeros(reshape);
  const newHead = free(`${concat.input[0]}_any_batch`);
  reshape.input[1] = replaced;
  return [
    constantNode(newHead, [first, ...head.slice(1)], [head.length], 'INT64'),
    node('Concat', [newHead, ...concat.input.slice(1)], replaced, integer('axis', 0)),
  ];
}

/** Lets a 0 in the target stand for "as it was", as it does unless the node says otherwise. */
function copyZeros(reshape: NodeProto): void {
  reshape.attribute = reshape.attribute.filter(({ name }) => name !== 'allowzero');
}

function freeSizes(resize: NodeProto, { graph, free, dependsOnPicture }: Scene): NodeProto[] {
  const [data = '', , , sizes = ''] = resize.input;
  const constant = integersOf(graph, sizes);
  if (constant?.[0] !== 1 || !dependsOnPicture(data)) return [];
  const [rest, replaced] = [free(`${sizes}_rest`), free(`${sizes}_any_batch`)];
  const measured = measureBatch(data, free);
  resize.input[3] = replaced;
  return [
    ...measured.nodes,
    constantNode(rest, constant.slice(1), [constant.length - 1], 'INT64'),
    node('Concat', [measured.batch, rest], replaced, integer('axis', 0)),
  ];
}

function repeatConstants(concat: NodeProto, { graph, free, dependsOnPicture }: Scene): NodeProto[] {
  const axis = Number(concat.attribute.find(({ name }) => name === 'axis')?.i ?? 0n);
  const data = concat.input.find(dependsOnPicture);
  if (data === undefined || axis === 0) return [];
  const measured = measureBatch(data, free);
  const added: NodeProto[] = [];
  concat.input = concat.input.map((name) => {
    const { dims = [] } = constantOf(graph, name) ?? {};
    if (dims.length < 2 || dims[0] !== 1n || axis === -dims.length) return name;
    const [ones, shape, repeated] = [free(`${name}_ones`), free(`${name}_shape`), free(`${name}_repeated`)];
    const rest = dims.slice(1).map(() => 1);
    added.push(
      constantNode(ones, rest, [rest.length], 'INT64'),
      node('Concat', [measured.batch, ones], shape, integer('axis', 0)),
      node('Expand', [name, shape], repeated),
    );
    return repeated;
  });
  return added.length === 0 ? [] : [...measured.nodes, ...added];
}

/** The first length of a value, int64 [1]. */
function measureBatch(value: string, free: (wish: string) => string): { nodes: NodeProto[]; batch: string } {
  const [shape, zero, batch] = [free(`${value}_shape`), free(`${value}_zero`), free(`${value}_batch`)];
  const nodes = [
    node('Shape', [value], shape),
    constantNode(zero, [0], [1], 'INT64'),
    node('Gather', [shape, zero], batch, integer('axis', 0)),
  ];
  return { nodes, batch };
}

/** null: the value is no constant of whole numbers. Through what only changes a constant's rank it is looked through. */
function integersOf(graph: GraphProto, name: string): number[] | null {
  const constant = constantOf(graph, name);
  if (constant !== null) return int64Values(constant);
  const producer = producerOf(graph, name);
  const transparent = producer?.opType === 'Unsqueeze' || producer?.opType === 'Identity';
  return transparent ? integersOf(graph, producer.input[0]!) : null;
}

function constantOf(graph: GraphProto, name: string): TensorProto | null {
  const initialiser = graph.initializer.find((each) => each.name === name);
  if (initialiser !== undefined) return initialiser;
  const producer = producerOf(graph, name);
  return producer?.opType === 'Constant'
    ? (producer.attribute.find(({ name }) => name === 'value')?.t ?? null)
    : null;
}

function producerOf(graph: GraphProto, name: string): NodeProto | undefined {
  return name === '' ? undefined : graph.node.find(({ output }) => output.includes(name));
}

/** null: of another type, or kept in another file. */
function int64Values({ dataType, int64Data, rawData, externalData }: TensorProto): number[] | null {
  if (dataType !== TensorProto_DataType.INT64 || externalData.length > 0) return null;
  if (int64Data.length > 0) return int64Data.map(Number);
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Array.from({ length: rawData.length / 8 }, (_, index) => Number(view.getBigInt64(index * 8, true)));
}

type BatchDimension = { case: 'dimValue'; value: bigint } | { case: 'dimParam'; value: string };

function setBatch({ graph }: OnnxModel, input: string, batch: BatchDimension): void {
  for (const { name, type } of [...graph.input.filter((each) => each.name === input), ...graph.output]) {
    const dim = type?.value.case === 'tensorType' ? type.value.value.shape?.dim : undefined;
    const first = dim?.[0];
    // An output's first length is its batch: those that have none get one beside this.
    if (
      first !== undefined &&
      (name === input || first.value.case !== 'dimValue' || first.value.value === 1n)
    )
      first.value = batch;
  }
  // What the file says of values between would contradict the new batch. It is a hint that nobody needs.
  for (const each of graphsWithin(graph)) each.valueInfo = [];
}

function unusedDimension(graph: GraphProto): string {
  const taken = new Set([...graph.input, ...graph.output].flatMap(dimensionNames));
  let name = 'N';
  while (taken.has(name)) name += 'N';
  return name;
}

function dimensionNames({ type }: ValueInfoProto): string[] {
  const dim = type?.value.case === 'tensorType' ? (type.value.value.shape?.dim ?? []) : [];
  // A free batch gives its name on.
  return dim.slice(1).flatMap(({ value }) => (value.case === 'dimParam' ? [value.value] : []));
}
