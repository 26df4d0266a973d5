import { WorkerFaultError } from '../oip/errors.ts';
import { readableOutputs } from '../readable-outputs.ts';
import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';

/**
 * Throws WorkerFaultError, naming the tensor, unless `outputs` are what the variant is read by: its tensors in their order, of
 * their types, a row for each of `images`. What a row may look like is for its reader to say, but for a classifier's, which
 * has a value a label.
 */
export function checkAnswer(variant: Variant, images: number, outputs: readonly Tensor[]): void {
  const names = outputTensors(variant.output);
  if (outputs.length !== names.length)
    throw new WorkerFaultError('shape', `the worker answered ${outputs.length} tensors for ${names.length}`);
  const readable = readableOutputs(variant.output, variant.labels.length);
  outputs.forEach((output, index) => {
    const { datatype, shape, data } = output;
    const name = names[index]!;
    const { types } = readable[index]!;
    if (!types.includes(datatype)) {
      throw new WorkerFaultError(
        'datatype',
        `the worker answered '${name}' as ${datatype} where ${types.join(' or ')} was expected`,
      );
    }
    const isWhole = data.byteLength === elementCount(shape) * bytesPerElement[datatype];
    if (shape[0] !== images || !isWhole || !fitsLabels(variant, shape)) {
      const expected =
        variant.task === 'CLASSIFY' ? `[${images}, ${variant.labels.length}]` : `[${images}, …]`;
      throw new WorkerFaultError(
        'shape',
        `the worker answered '${name}' as [${shape.join(', ')}] of ${data.byteLength} bytes where ${expected} was expected`,
      );
    }
  });
}

function fitsLabels({ task, labels }: Variant, [, ...row]: readonly number[]): boolean {
  return task !== 'CLASSIFY' || elementCount(row) === labels.length;
}
