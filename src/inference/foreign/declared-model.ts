/** What a server that somebody else runs says of a model: as it came, so that a refusal can repeat it. */
export interface DeclaredModel {
  readonly inputs: readonly DeclaredTensor[];
  readonly outputs: readonly DeclaredTensor[];
  /** Pictures it takes in one request; null: it does not say. */
  readonly maxBatch: number | null;
  /** Bytes of pictures that are best sent in one request, at most; a larger picture goes alone. */
  readonly maxBytes: number;
}

export interface DeclaredTensor {
  readonly name: string;
  /** A name of the Open Inference Protocol's, or what the server calls a type that the protocol does not have. */
  readonly datatype: string;
  /** -1 stands for a dimension that is free; null: not even the rank is declared. */
  readonly shape: readonly number[] | null;
}

/** `'input' FP32 [-1,3,224,224]`. */
export function formatDeclared({ name, datatype, shape }: DeclaredTensor): string {
  return `'${name}' ${datatype} ${shape === null ? 'of undeclared rank' : `[${shape.join(',')}]`}`;
}

export function formatAll(tensors: readonly DeclaredTensor[]): string {
  return tensors.map(formatDeclared).join(', ') || 'none';
}

/** Whether a declared shape allows this one; -1 allows any length, on either side. */
export function allows(declared: readonly number[] | null, shape: readonly number[]): boolean {
  if (declared === null) return true;
  return (
    declared.length === shape.length &&
    declared.every((length, axis) => length === -1 || shape[axis] === -1 || length === shape[axis])
  );
}
