import { OipError } from '../oip/errors.ts';
import { readableOutputs } from '../readable-outputs.ts';
import type { DataType } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import {
  allows,
  type DeclaredModel,
  type DeclaredTensor,
  formatAll,
  formatDeclared,
} from './declared-model.ts';

/** An output that a variant is read by, and what another server declares in its place. */
export interface OutputMatch {
  /** As the variant names it. */
  readonly name: string;
  readonly declared: DeclaredTensor & { readonly datatype: DataType };
}

/**
 * Finds each of a variant's outputs among those declared, by its name; where there is one on either side, the name may
 * differ, as a TensorFlow export names its outputs anew.
 *
 * @throws OipError 422 that says what is declared and what was wanted
 */
export function matchOutputs({ outputs }: DeclaredModel, variant: Variant): OutputMatch[] {
  const names = outputTensors(variant.output);
  const isOnly = names.length === 1 && outputs.length === 1;
  return readableOutputs(variant.output, variant.labels.length).map(({ types, shapes }, index) => {
    const name = names[index]!;
    const declared = isOnly ? outputs[0] : outputs.find((each) => each.name === name);
    const wanted = `'${name}' ${types.join(' or ')} ${shapes.map(formatShape).join(' or ')}`;
    if (declared === undefined)
      throw new OipError(422, `it answers the outputs ${formatAll(outputs)}; wanted ${wanted}`);
    const { datatype, shape } = declared;
    if (!isOneOf(types, datatype) || !shapes.some((each) => allows(shape, each)))
      throw new OipError(422, `it answers the output ${formatDeclared(declared)}; wanted ${wanted}`);
    return { name, declared: { ...declared, datatype } };
  });
}

function isOneOf(types: readonly DataType[], datatype: string): datatype is DataType {
  return (types as readonly string[]).includes(datatype);
}

function formatShape(shape: readonly number[]): string {
  return `[${shape.map((length) => (length === -1 ? '?' : length)).join(',')}]`;
}
