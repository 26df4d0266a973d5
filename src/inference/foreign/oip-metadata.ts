import { WorkerFaultError } from '../oip/errors.ts';
import { isRecord } from '../oip/tensor-entries.ts';
import type { DeclaredTensor } from './declared-model.ts';

/** A model's metadata as a server of the Open Inference Protocol v2 tells it. */
export interface OipMetadata {
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
  /** null: the server does not know versions. */
  readonly versions: readonly string[] | null;
}

/** Throws WorkerFaultError that names what is not as the protocol has it. */
export function parseMetadata(answer: unknown): OipMetadata {
  if (!isRecord(answer)) throw new WorkerFaultError('protocol', "the model's metadata is no object");
  const { versions } = answer;
  const known = Array.isArray(versions) && versions.length > 0 ? versions.map(String) : null;
  return {
    inputs: parseDeclared(answer.inputs, 'input'),
    outputs: parseDeclared(answer.outputs, 'output'),
    versions: known,
  };
}

function parseDeclared(entries: unknown, kind: 'input' | 'output'): DeclaredTensor[] {
  if (!Array.isArray(entries))
    throw new WorkerFaultError('protocol', `the model's metadata has no list of ${kind}s`);
  return entries.map((entry: unknown, index) => {
    const { name, datatype, shape } = isRecord(entry) ? entry : {};
    const dimensions = Array.isArray(shape) ? shape.map(dimension) : [Number.NaN];
    if (typeof name === 'string' && typeof datatype === 'string' && !dimensions.includes(Number.NaN))
      return { name, datatype, shape: dimensions };
    const found = JSON.stringify(entry)?.slice(0, 200);
    throw new WorkerFaultError(
      'protocol',
      `the model's metadata: expected ${kind} ${index} to have a name, a datatype and a shape, found ${found}`,
    );
  });
}

/** NaN where it is none. As text where the server's JSON is made of protocol buffers, which write an int64 so. */
function dimension(value: unknown): number {
  const length = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  return typeof length === 'number' && Number.isSafeInteger(length) && length >= -1 ? length : Number.NaN;
}
