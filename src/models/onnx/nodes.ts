import { create } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
} from './generated/onnx_pb.ts';

/** A node as an import adds them, called after what it writes. */
export function node(
  opType: string,
  input: string[],
  output: string,
  ...attribute: AttributeProto[]
): NodeProto {
  return create(NodeProtoSchema, { opType, name: `${output}_node`, input, output: [output], attribute });
}

/** A `Constant` node: before IR version 4 an initialiser would have to be a graph input as well. */
export function constantNode(
  output: string,
  values: readonly number[],
  dims: readonly number[],
  type: 'FLOAT' | 'INT64',
): NodeProto {
  const t = create(TensorProtoSchema, {
    dataType: TensorProto_DataType[type],
    dims: dims.map(BigInt),
    rawData: littleEndian(values, type),
  });
  const value = create(AttributeProtoSchema, { name: 'value', type: AttributeProto_AttributeType.TENSOR, t });
  return node('Constant', [], output, value);
}

export function integer(name: string, value: number): AttributeProto {
  return create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) });
}

export function integers(name: string, values: readonly number[]): AttributeProto {
  return create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.INTS,
    ints: values.map(BigInt),
  });
}

function littleEndian(values: readonly number[], type: 'FLOAT' | 'INT64'): Uint8Array {
  const bytes = type === 'FLOAT' ? 4 : 8;
  const view = new DataView(new ArrayBuffer(values.length * bytes));
  for (const [index, value] of values.entries()) {
    if (type === 'FLOAT') view.setFloat32(index * bytes, value, true);
    else view.setBigInt64(index * bytes, BigInt(value), true);
  }
  return new Uint8Array(view.buffer);
}
