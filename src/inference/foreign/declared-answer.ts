import { OipError, WorkerFaultError } from '../oip/errors.ts';
import { joinPieces } from '../oip/join-pieces.ts';
import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';
import { allows, formatDeclared } from './declared-model.ts';
import type { OutputMatch } from './wanted-outputs.ts';

/**
 * The tensors that a variant is read by, out of a server's answer to one request, under the variant's names.
 *
 * @throws WorkerFaultError where one is missing, or is not what the server declared or not of so many pictures
 */
export function takeOutputs(
  answer: readonly Tensor[],
  matches: readonly OutputMatch[],
  pictures: number,
): Tensor[] {
  return matches.map(({ name, declared }) => {
    const tensor = answer.find((each) => each.name === declared.name);
    const wanted = `the output ${formatDeclared(declared)}, as it was declared`;
    if (tensor === undefined) {
      const found = answer.map((each) => `'${each.name}'`).join(', ') || 'none';
      throw new WorkerFaultError('protocol', `the server was asked for ${wanted}, and answered ${found}`);
    }
    const { datatype, shape, data } = tensor;
    const fits = datatype === declared.datatype && allows(declared.shape, shape) && shape[0] === pictures;
    if (!fits) {
      throw new WorkerFaultError(
        datatype === declared.datatype ? 'shape' : 'datatype',
        `the server was asked for ${wanted}, for ${pictures} pictures, and answered ${formatDeclared(tensor)}`,
      );
    }
    const bytes = elementCount(shape) * bytesPerElement[datatype];
    if (data.byteLength !== bytes)
      throw new WorkerFaultError(
        'shape',
        `the server answered ${formatDeclared(tensor)} in ${data.byteLength} bytes, not in ${bytes}`,
      );
    return { ...tensor, name };
  });
}

/** Answers to requests in turn as the one answer to all their pictures. Throws OipError 502 where their shapes differ. */
export function joinOutputs(answers: readonly (readonly Tensor[])[]): Tensor[] {
  const [first = [], ...others] = answers;
  if (others.length === 0) return [...first];
  return first.map((tensor, index) => {
    const parts = answers.map((answer) => answer[index]!);
    const rest = tensor.shape.slice(1);
    const odd = parts.find(({ shape }) => shape.slice(1).join() !== rest.join());
    if (odd !== undefined) {
      const shapes = `[${tensor.shape.join(',')}] and [${odd.shape.join(',')}]`;
      throw new OipError(
        502,
        `the output '${tensor.name}' has shapes ${shapes} for pictures of one batch, which cannot be joined`,
      );
    }
    const pictures = parts.reduce((sum, { shape }) => sum + shape[0]!, 0);
    return { ...tensor, shape: [pictures, ...rest], data: joinPieces(parts.map(({ data }) => data)) };
  });
}
