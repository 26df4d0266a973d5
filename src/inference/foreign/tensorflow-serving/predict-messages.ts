import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { WorkerFaultError } from '../../oip/errors.ts';
import { MAX_ANSWER_BYTES } from '../../oip/limits.ts';
import type { Tensor } from '../../tensor.ts';
import type { DeclaredTensor } from '../declared-model.ts';
import { PredictRequestSchema, PredictResponseSchema } from './generated/serving_pb.ts';
import { TensorProtoSchema } from './generated/tensorflow_pb.ts';
import type { Question, ServedVersion } from './serving-client.ts';
import { type Claim, claimOf, headOf, tensorOf } from './tensors.ts';

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

/**
 * What a PredictResponse says of the outputs that are wanted, in their order. Others are not looked at.
 *
 * @throws WorkerFaultError where the bytes are no such message, one is missing or no tensor of numbers, or all of them are too large
 */
export function claimsOf(message: Uint8Array, wanted: readonly DeclaredTensor[]): Claim[] {
  const { outputs } = read(PredictResponseSchema, message);
  const claims = wanted.map(({ name }) => {
    const proto = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
    if (proto !== undefined) return claimOf(name, proto);
    const found = Object.keys(outputs).join("', '").slice(0, 200);
    throw new WorkerFaultError('protocol', `the server was asked for '${name}', and answered '${found}'`);
  });
  const bytes = bytesOf(claims);
  if (bytes <= MAX_ANSWER_BYTES) return claims;
  const names = claims.map(({ head }) => `'${head.name}'`).join(', ');
  throw new WorkerFaultError(
    'too-large',
    `the server answered ${names} of ${bytes} bytes, which is more than ${MAX_ANSWER_BYTES}`,
  );
}

/** What tensors take once they are read. */
export function bytesOf(claims: readonly Claim[]): number {
  return claims.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** As `claimsOf`, and their elements. */
export function readPrediction(message: Uint8Array, wanted: readonly DeclaredTensor[]): Tensor[] {
  return claimsOf(message, wanted).map(tensorOf);
}

/** A message of the server's. Throws WorkerFaultError where the bytes are none. */
export function read<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new WorkerFaultError('protocol', `the server's answer cannot be read: ${(error as Error).message}`);
  }
}

export function specOf({ name, version }: ServedVersion): { name: string; version: bigint } {
  return { name, version: BigInt(version) };
}

function lengthDelimited(field: number, length: number): BinaryWriter {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(length);
}
