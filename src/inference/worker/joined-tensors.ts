import type { Tensor, TensorMetadata } from '../tensor.ts';
import type { Company } from './turns.ts';

/** Whether a batch may have any number of images, by what a model declares: each of its tensors has a first dimension that is free. */
export function isBatched(model: {
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}): boolean {
  return [...model.inputs, ...model.outputs].every(({ shape }) => shape[0] === -1);
}

/** What a request may be run with. `declared`: the model's inputs; `most`: images that its requests are joined to. */
export function companyOf(
  model: string,
  declared: readonly TensorMetadata[],
  inputs: readonly Tensor[],
  most: number,
): Company {
  const images = imagesOf(inputs);
  const own = images ?? inputs.find(({ name }) => name === declared[0]?.name)?.shape[0] ?? 1;
  const maxBatch = images === null ? 1 : most;
  return { model, kind: maxBatch > 1 ? kindOf(inputs) : '', images: own, maxBatch };
}

/** Images of a request: what all its tensors have as their first dimension; null: they differ. */
function imagesOf(inputs: readonly Tensor[]): number | null {
  const [images] = inputs[0]?.shape ?? [];
  return images !== undefined && inputs.every(({ shape }) => shape[0] === images) ? images : null;
}

/** Requests with the same can be joined: their tensors' shapes but for the first dimension. */
function kindOf(inputs: readonly Tensor[]): string {
  const kinds = inputs.map(({ name, shape }) => `${name} ${shape.slice(1).join()}`);
  return kinds.sort().join(';');
}

/** The same inputs of several requests one behind the other, along the first dimension. */
export function joinInputs(requests: readonly (readonly Tensor[])[]): readonly Tensor[] {
  const [first = []] = requests;
  if (requests.length === 1) return first;
  return first.map(({ name, datatype, shape }) => {
    const parts = requests.map((inputs) => inputs.find((input) => input.name === name)!);
    const images = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
    const bytes = parts.reduce((sum, { data }) => sum + data.byteLength, 0);
    // Engines view what begins on a multiple of its elements' size, which a buffer of the pool need not.
    const data = new Uint8Array(bytes);
    let offset = 0;
    for (const part of parts) {
      data.set(part.data, offset);
      offset += part.data.byteLength;
    }
    return { name, datatype, shape: [images, ...shape.slice(1)], data };
  });
}

/** Each one's rows of `outputs`, without a copy. null: they are not of a row an image. */
export function splitOutputs(outputs: readonly Tensor[], images: readonly number[]): Tensor[][] | null {
  const all = images.reduce((sum, each) => sum + each, 0);
  if (outputs.some(({ shape }) => shape[0] !== all)) return null;
  let first = 0;
  return images.map((count) => {
    const from = first;
    first += count;
    return outputs.map((output) => {
      const row = output.data.byteLength / all;
      const data = output.data.subarray(from * row, (from + count) * row);
      return { ...output, shape: [count, ...output.shape.slice(1)], data };
    });
  });
}
