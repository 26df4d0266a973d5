import { OipError } from '../oip/errors.ts';
import { type DataType, elementCount, type Tensor, type TensorMetadata } from '../tensor.ts';

/** Answers the outputs that are meant, `outputs` null: all. Throws OipError 400 where the model has no such inputs or outputs. */
export function checkRequest(
  model: { readonly inputs: readonly TensorMetadata[]; readonly outputs: readonly TensorMetadata[] },
  inputs: readonly Tensor[],
  outputs: readonly string[] | null,
): readonly string[] {
  checkInputs(model.inputs, inputs);
  const known = model.outputs.map(({ name }) => name);
  const unknown = outputs?.find((name) => !known.includes(name));
  if (unknown === undefined) return outputs ?? known;
  const expected = known.map((name) => `'${name}'`).join(', ');
  throw new OipError(400, `output '${unknown}': the model has no such output, expected ${expected}`);
}

/**
 * Throws OipError 400, naming the tensor, unless `inputs` are exactly what the graph declares: its names, its types, and
 * its shape in every dimension that is not free (-1), none of them empty.
 */
export function checkInputs(declared: readonly TensorMetadata[], inputs: readonly Tensor[]): void {
  for (const input of inputs) {
    const expected = declared.find(({ name }) => name === input.name);
    if (!expected) {
      const names = declared.map(({ name }) => `'${name}'`).join(', ');
      throw new OipError(400, `input '${input.name}': the model has no such input, expected ${names}`);
    }
    const fits =
      input.datatype === expected.datatype &&
      input.shape.length === expected.shape.length &&
      expected.shape.every((length, axis) => length === -1 || length === input.shape[axis]) &&
      elementCount(input.shape) > 0;
    if (!fits) {
      throw new OipError(
        400,
        `input '${input.name}': expected ${described(expected)}, found ${described(input)}`,
      );
    }
  }
  const missing = declared.find(({ name }) => !inputs.some((input) => input.name === name));
  if (missing)
    throw new OipError(400, `input '${missing.name}': expected ${described(missing)}, found nothing`);
}

function described({ datatype, shape }: { datatype: DataType; shape: readonly number[] }): string {
  return `${datatype} [${shape.join(',')}]`;
}
