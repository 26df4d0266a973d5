import { TensorProto_DataLocation } from '../../src/models/onnx/generated/onnx_pb.ts';
import { readModel, writeModel } from '../../src/models/onnx/model-file.ts';

/** Where a tensor's bytes go, or what is said of it in place of the truth. */
export interface ExternalPlace {
  readonly location: string;
  readonly offset?: string;
  readonly length?: string;
}

/**
 * Moves the FLOAT initialisers of a graph out of it: `place` says where each goes by its name and its bytes, and that is
 * all that is written. Answers the graph and each tensor's bytes, for the caller to put where they belong.
 */
export function moveWeightsOut(
  graph: Uint8Array,
  place: (name: string, bytes: Uint8Array) => ExternalPlace | null,
): { graph: Uint8Array; weights: Map<string, Uint8Array> } {
  const model = readModel(graph);
  const weights = new Map<string, Uint8Array>();
  for (const tensor of model.graph.initializer) {
    const bytes = new Uint8Array(Float32Array.from(tensor.floatData).buffer);
    const where = bytes.length === 0 ? null : place(tensor.name, bytes);
    if (where === null) continue;
    weights.set(tensor.name, bytes);
    tensor.floatData = [];
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = Object.entries(where).map(([key, value]) => ({
      $typeName: 'onnx.StringStringEntryProto',
      key,
      value,
    }));
  }
  return { graph: writeModel(model), weights };
}
