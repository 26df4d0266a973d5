import { type InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { bytesOf, elementsOf } from '../../../oip/elements.ts';
import { onCpu } from '../../../providers/provider.ts';
import type { DataType, Tensor, TensorMetadata } from '../../../tensor.ts';
import type { LoadedModel } from '../../engine.ts';
import { type ComputeSettings, createSession, type Graph } from './session.ts';

/** FP16 is missing on purpose: the runtime's Node binding refuses it on Node 24, so stored graphs keep it inside. */
const ortTypes = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP32: 'float32',
  FP64: 'float64',
} as const satisfies Partial<Record<DataType, OrtTensor.Type>>;

const dataTypes = new Map<string, DataType>(
  Object.entries(ortTypes).map(([dataType, ortType]) => [ortType, dataType as DataType]),
);

export async function loadOnCpu(
  graph: Graph,
  { threads }: Pick<ComputeSettings, 'threads'>,
): Promise<LoadedModel> {
  return modelOf(await createSession(graph, { threads, compute: onCpu }), 'cpu');
}

/** Throws, and releases the session, where its inputs and outputs are none that can be served. */
export async function modelOf(session: InferenceSession, device: string): Promise<LoadedModel> {
  try {
    return {
      inputs: session.inputMetadata.map((input) => readMetadata('input', input)),
      outputs: session.outputMetadata.map((output) => readMetadata('output', output)),
      device,
      run: (inputs, outputs) => run(session, inputs, outputs),
      dispose: () => session.release(),
    };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function run(
  session: InferenceSession,
  inputs: readonly Tensor[],
  outputs: readonly string[],
): Promise<Tensor[]> {
  const feeds = Object.fromEntries(inputs.map((input) => [input.name, toOrt(input)]));
  const results = await session.run(feeds, outputs);
  return outputs.map((name): Tensor => {
    const { type, dims, data } = results[name] as OrtTensor;
    const datatype = dataTypes.get(type);
    if (!datatype || Array.isArray(data))
      throw new Error(`output '${name}' has the unsupported type ${type}`);
    return { name, datatype, shape: dims, data: bytesOf(data) };
  });
}

function toOrt({ datatype, shape, data }: Tensor): OrtTensor {
  if (datatype === 'FP16') throw new Error('FP16 inputs are not supported: expected FP32');
  return new OrtTensor(ortTypes[datatype], elementsOf(datatype, data), shape);
}

function readMetadata(kind: 'input' | 'output', value: InferenceSession.ValueMetadata): TensorMetadata {
  const datatype = value.isTensor ? dataTypes.get(value.type) : undefined;
  if (!value.isTensor || !datatype) {
    const found = value.isTensor ? value.type : 'no tensor';
    throw new Error(
      `${kind} '${value.name}': expected a tensor of ${[...dataTypes.keys()].join(', ')}, found ${found}`,
    );
  }
  return {
    name: value.name,
    datatype,
    shape: value.shape.map((length) => (typeof length === 'number' && length >= 0 ? length : -1)),
  };
}
