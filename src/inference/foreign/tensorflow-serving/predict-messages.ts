import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { WorkerFaultError } from '../../oip/errors.ts';
import type { Tensor } from '../../tensor.ts';
import { PredictRequestSchema, PredictResponseSchema } from './generated/serving_pb.ts';
import { TensorProtoSchema } from './generated/tensorflow_pb.ts';
import type { Question, ServedVersion } from './serving-client.ts';
import { fromProto, headOf } from './tensors.ts';

/** A map's entry has these two fields. */
const [KEY, VALUE] = [1, 2];

/**
 * A PredictRequest, with its tensor's elements copied once: the library would copy them for each message that they lie in,
 * which for 39 MB holds up the event loop for 50 ms.
 */
export function writeQuestion(model: ServedVersion, { signature, input, outputs }: Question): Buffer {
  const request = create(PredictRequestSchema, {
    modelSpec: { ...specOf(model), signatureName: signature },
    outputFilter: outputs.map(({ name }) => name),
  });
  const { data } = input;
  const tensor = toBinary(TensorProtoSchema, headOf(input));
  const content = lengthDelimited(TensorProtoSchema.field.tensorContent.number, data.byteLength).finish();
  const tensorBytes = tensor.byteLength + content.byteLength + data.byteLength;
  const entry = new BinaryWriter().tag(KEY, WireType.LengthDelimited).string(input.name);
  const head = entry.tag(VALUE, WireType.LengthDelimited).uint32(tensorBytes).finish();
  const inputs = lengthDelimited(PredictRequestSchema.field.inputs.number, head.byteLength + tensorBytes);
  return Buffer.concat([
    toBinary(PredictRequestSchema, request),
    ...[inputs.finish(), head, tensor, content, data],
  ]);
}

/** Throws WorkerFaultError where the bytes are no PredictResponse, or one of other things than tensors of numbers. */
export function readPrediction(message: Uint8Array): Tensor[] {
  let response: ReturnType<typeof decode>;
  try {
    response = decode(message);
  } catch (error) {
    throw new WorkerFaultError('protocol', `the server's answer cannot be read: ${(error as Error).message}`);
  }
  return Object.entries(response.outputs).map(([name, proto]) => fromProto(name, proto));
}

export function specOf({ name, version }: ServedVersion): { name: string; version: bigint } {
  return { name, version: BigInt(version) };
}

function decode(message: Uint8Array) {
  return fromBinary(PredictResponseSchema, message);
}

function lengthDelimited(field: number, length: number): BinaryWriter {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length);
}
