import { create } from '@bufbuild/protobuf';
import {
  type NodeProto,
  TensorProto_DataType,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './generated/onnx_pb.ts';
import { type OnnxModel, opsetOf } from './model-file.ts';
import { freeNames } from './names.ts';
import { constantNode, integer, integers, node } from './nodes.ts';
import { graphsWithin } from './walk.ts';

const { FLOAT, INT32, INT64, UINT8 } = TensorProto_DataType;
const { FLOAT16, BFLOAT16, DOUBLE, BOOL, INT8, INT16, UINT16, UINT32, UINT64 } = TensorProto_DataType;

/** What every engine can answer and every reader of outputs takes. */
const plainTypes: readonly number[] = [FLOAT, INT32, INT64, UINT8];

const castTo = new Map<number, number>([
  ...[FLOAT16, BFLOAT16, DOUBLE].map((type) => [type, FLOAT] as const),
  ...[BOOL, INT8, INT16, UINT16, UINT32, UINT64].map((type) => [type, INT64] as const),
]);

/**
 * Lets every output of `model` be FLOAT, INT32, INT64 or UINT8, under the name it has: others are cast, and what no cast
 * makes a number (texts, sequences, maps) is no output any more. Answers whether anything changed.
 */
export function castOutputs(model: OnnxModel): boolean {
  const { graph } = model;
  const before = graph.output;
  graph.output = before.filter((output) => {
    const type = elementType(output);
    return type === undefined || plainTypes.includes(type) || castTo.has(type);
  });
  const odd = graph.output.filter((output) => castTo.has(elementType(output) ?? FLOAT));
  for (const output of odd) {
    const to = castTo.get(elementType(output)!)!;
    appendToOutput(model, output.name, (inner) => [node('Cast', [inner], output.name, integer('to', to))]);
    setElementType(output, to);
  }
  return odd.length > 0 || graph.output.length < before.length;
}

/** Puts an axis of length 1 before the others of each output named. */
export function addBatchAxis(model: OnnxModel, outputs: readonly string[]): void {
  const free = freeNames(model);
  for (const name of outputs) {
    appendToOutput(model, name, (inner) => {
      if (opsetOf(model) < 13) return [node('Unsqueeze', [inner], name, integers('axes', [0]))];
      const axes = free(`${name}_axes`);
      return [constantNode(axes, [0], [1], 'INT64'), node('Unsqueeze', [inner, axes], name)];
    });
  }
  model.graph.output = model.graph.output.map((output) =>
    outputs.includes(output.name) ? withoutShape(output) : output,
  );
}

/** Takes away the outputs that are not named, so that nothing is computed for them. Answers whether there were any. */
export function keepOutputs(model: OnnxModel, names: readonly string[]): boolean {
  const before = model.graph.output.length;
  model.graph.output = model.graph.output.filter(({ name }) => names.includes(name));
  return model.graph.output.length < before;
}

/** Computes an output anew from what it was, which gets another name wherever it is written and read. */
function appendToOutput(model: OnnxModel, name: string, nodes: (inner: string) => NodeProto[]): void {
  const inner = freeNames(model)(`${name}_as_was`);
  const rename = (each: string) => (each === name ? inner : each);
  for (const graph of graphsWithin(model.graph)) {
    for (const each of graph.node) {
      each.input = each.input.map(rename);
      each.output = each.output.map(rename);
    }
    for (const tensor of graph.initializer) tensor.name = rename(tensor.name);
    for (const value of graph.valueInfo) value.name = rename(value.name);
  }
  model.graph.node.push(...nodes(inner));
}

function elementType({ type }: ValueInfoProto): number | undefined {
  if (type === undefined) return undefined; // not declared: it is what its node makes
  return type.value.case === 'tensorType' ? type.value.value.elemType : TensorProto_DataType.UNDEFINED;
}

function setElementType({ type }: ValueInfoProto, elemType: number): void {
  if (type?.value.case === 'tensorType') type.value.value.elemType = elemType;
}

function withoutShape({ name, type }: ValueInfoProto): ValueInfoProto {
  if (type?.value.case !== 'tensorType') return create(ValueInfoProtoSchema, { name });
  const { elemType } = type.value.value;
  return create(ValueInfoProtoSchema, { name, type: { value: { case: 'tensorType', value: { elemType } } } });
}
