import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { type GraphProto, type ModelProto, ModelProtoSchema } from './generated/onnx_pb.ts';

/** An ONNX model whose graph is there. */
export type OnnxModel = ModelProto & { graph: GraphProto };

/** Parses an ONNX file. Throws an error that says why the bytes are no ONNX model. */
export function readModel(bytes: Uint8Array): OnnxModel {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new Error(`not an ONNX file: ${error instanceof Error ? error.message : String(error)}`);
  }
  // Protobuf reads many a stray byte string without complaint: a graph with outputs is what tells a model from noise.
  if (!hasGraph(model) || model.graph.output.length === 0)
    throw new Error('not an ONNX file: it holds no graph with outputs');
  return model;
}

export function writeModel(model: OnnxModel): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

/** The version of ONNX's own operators that the model was written for; 0 where it names none. */
export function opsetOf(model: OnnxModel): number {
  const own = model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
  return Number(own?.version ?? 0n);
}

function hasGraph(model: ModelProto): model is OnnxModel {
  return model.graph !== undefined;
}
