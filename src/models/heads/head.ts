import { elementsOf } from '../../inference/oip/elements.ts';
import type { DataType, Tensor } from '../../inference/tensor.ts';
import type { VariantOutput } from '../../inference/variant.ts';
import type { Fault } from '../manifest-error.ts';
import { formatTensor } from '../onnx/describe.ts';

/** What a graph answered when it was run on the proof pictures, and what the manifest says beside its `output`. */
export interface Shown {
  /** A list a picture: all outputs of the graph. */
  readonly answers: readonly (readonly Tensor[])[];
  readonly width: number;
  readonly height: number;
  /** The label file's lines. */
  readonly labels: readonly string[];
}

/** Where a manifest's `output` meets its graph. */
export interface Head {
  readonly output: VariantOutput;
  /** One a class of the graph. */
  readonly labels: readonly string[];
  /** Outputs that have no batch axis. */
  readonly unbatched: readonly string[];
  /**
   * The numbers in one picture's outputs, by what they mean, for two graphs to be compared by.
   * @param tensors all of a graph's outputs, with or without a batch axis
   */
  parts(tensors: readonly Tensor[]): readonly Part[];
}

/** Numbers of one meaning. */
export interface Part {
  /** The output they are from. */
  readonly tensor: string;
  readonly values: ArrayLike<number>;
  /**
   * How two graphs are the same: values that are as good as equal · class indices, a few of which a rounding may turn over
   * · rows in any order, of so many columns, a few of which a rounding may swap for others.
   */
  readonly compare: 'values' | 'indices' | { readonly columns: number };
}

/** What a head needs of one output. */
export interface Wish {
  /** The manifest's field under `output`, and what it says. */
  readonly field: string;
  readonly name: string | undefined;
  /** In words, for who has to change the manifest: `[N,3549,5+C] for strides …`. */
  readonly wanted: string;
  readonly types?: readonly DataType[];
  /** Whether a picture's shape, without the batch axis, will do. */
  fits(shape: readonly number[]): boolean;
}

export interface Taken {
  readonly name: string;
  /** Of the first picture, without the batch axis. */
  readonly shape: readonly number[];
  readonly batched: boolean;
}

/** The output that a wish is for: the one it names, or the only one that fits. null, with a fault, where there is none. */
export function takeOutput(wish: Wish, { answers }: Shown, faults: Fault[]): Taken | null {
  const outputs = answers[0]!;
  const path = `output.${wish.field}`;
  const list = outputs.map(formatAnswer).join(', ') || 'no outputs';
  if (wish.name !== undefined && !outputs.some(({ name }) => name === wish.name)) {
    faults.push({ path, found: JSON.stringify(wish.name), wanted: `one of the graph's outputs: ${list}` });
    return null;
  }
  const named = outputs.filter(({ name }) => wish.name === undefined || name === wish.name);
  const fitting = named.flatMap(({ name }) => takenAs(wish, name, answers) ?? []);
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length > 1) {
    const wanted = `the name of one of ${fitting.length} outputs that fit: ${list}`;
    faults.push({ path, found: 'nothing', wanted });
  } else {
    const types = wish.types ?? ['FP32'];
    const type = types.includes('FP32') ? '' : ` of type ${types.join(' or ')}`;
    faults.push({ path: 'output', found: list, wanted: `${wish.wanted}${type}` });
  }
  return null;
}

/** How every picture's output of this name is taken; null where one cannot be. */
function takenAs(wish: Wish, name: string, answers: Shown['answers']): Taken | null {
  const all = answers.map((outputs) => outputs.find((each) => each.name === name)!);
  if (!all.every(({ datatype }) => (wish.types ?? ['FP32']).includes(datatype))) return null;
  const shapes = all.map(({ shape }) => shape);
  const [first] = shapes;
  if (shapes.every((shape) => shape[0] === 1 && wish.fits(shape.slice(1))))
    return { name, shape: first!.slice(1), batched: true };
  return shapes.every((shape) => wish.fits(shape)) ? { name, shape: first!, batched: false } : null;
}

export function unbatchedOf(...taken: readonly Taken[]): string[] {
  return taken.filter(({ batched }) => !batched).map(({ name }) => name);
}

/** An output's numbers, by its name. */
export function numbersOf(tensors: readonly Tensor[], name: string): Float32Array | Float64Array {
  const { datatype, data } = tensors.find((each) => each.name === name)!;
  const elements = elementsOf(datatype, data);
  return elements instanceof Float32Array
    ? elements
    : Float64Array.from(elements as ArrayLike<number>, Number);
}

/** ONNX's names of the types that a graph on trial answers. */
const typeNames: Partial<Record<DataType, string>> = { FP32: 'FLOAT', FP64: 'DOUBLE' };

export function formatAnswer({ name, datatype, shape }: Tensor): string {
  return formatTensor({ name, type: typeNames[datatype] ?? datatype, shape });
}
