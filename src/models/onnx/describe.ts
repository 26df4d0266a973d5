import { TensorProto_DataType, type ValueInfoProto } from './generated/onnx_pb.ts';
import type { OnnxModel } from './model-file.ts';

/** A length, the name of one that is free, or null for one that is not declared at all. */
export type Dimension = number | string | null;

export interface GraphTensor {
  readonly name: string;
  /** ONNX's name: FLOAT, UINT8, INT64, …; `null` for what is no dense tensor (a sequence, a map). */
  readonly type: string | null;
  /** null: not even the rank is declared. */
  readonly shape: readonly Dimension[] | null;
}

export interface GraphSignature {
  readonly inputs: readonly GraphTensor[];
  readonly outputs: readonly GraphTensor[];
}

/** What a caller must feed and will get. Initialisers listed as inputs (the custom before IR version 4) need no feeding. */
export function describeGraph({ graph }: OnnxModel): GraphSignature {
  const initialised = new Set([
    ...graph.initializer.map(({ name }) => name),
    ...graph.sparseInitializer.map(({ values }) => values?.name),
  ]);
  return {
    inputs: graph.input.filter(({ name }) => !initialised.has(name)).map(describeTensor),
    outputs: graph.output.map(describeTensor),
  };
}

/** `'input' FLOAT [N,3,224,224]`, with `?` for what is not declared. */
export function formatTensor({ name, type, shape }: GraphTensor): string {
  return `'${name}' ${type ?? 'no tensor'} ${formatShape(shape)}`;
}

export function formatShape(shape: readonly Dimension[] | null): string {
  return shape === null ? 'of undeclared rank' : `[${shape.map((length) => length ?? '?').join(',')}]`;
}

const typeNames = new Map<number, string>(
  Object.entries(TensorProto_DataType).map(([name, value]) => [value, name]),
);

function describeTensor({ name, type }: ValueInfoProto): GraphTensor {
  if (type?.value.case !== 'tensorType') return { name, type: null, shape: null };
  const tensor = type.value.value;
  return {
    name,
    type: typeNames.get(tensor.elemType) ?? `type ${tensor.elemType}`,
    shape: tensor.shape?.dim.map(({ value }) => dimension(value)) ?? null,
  };
}

function dimension(
  value: { case: 'dimValue'; value: bigint } | { case: 'dimParam'; value: string } | { case: undefined },
): Dimension {
  if (value.case === 'dimValue') return value.value > 0n ? Number(value.value) : null;
  return value.case === 'dimParam' && value.value !== '' ? value.value : null;
}
