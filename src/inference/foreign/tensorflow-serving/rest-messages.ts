import { elementsOf } from '../../oip/elements.ts';
import { WorkerFaultError } from '../../oip/errors.ts';
import { excerpt } from '../../oip/excerpt.ts';
import { bytesFromJson } from '../../oip/json-data.ts';
import { MAX_ANSWER_BYTES } from '../../oip/limits.ts';
import { isRecord } from '../../oip/tensor-entries.ts';
import { bytesPerElement, type DataType, elementCount, type Tensor } from '../../tensor.ts';
import type { DeclaredTensor } from '../declared-model.ts';
import { MAX_RANK } from './tensors.ts';

/** The body of a question: one instance a picture, in the numbers of its tensor. */
export function writeInstances(signature: string, { datatype, shape, data }: Tensor): Uint8Array {
  const elements = elementsOf(datatype, data) as ArrayLike<number>;
  const text = nested(elements, shape, 0, elements.length);
  // No Buffer: those of small texts share their memory, which cannot be handed over.
  return new TextEncoder().encode(`{"signature_name":${JSON.stringify(signature)},"instances":${text}}`);
}

function nested(elements: ArrayLike<number>, shape: readonly number[], from: number, count: number): string {
  const [length = 0, ...inner] = shape;
  const step = count / length;
  const parts: string[] = [];
  for (let index = 0; index < length; index += 1) {
    const at = from + index * step;
    parts.push(inner.length === 0 ? String(elements[at]) : nested(elements, inner, at, step));
  }
  return `[${parts.join(',')}]`;
}

/**
 * The tensors of an answer: of one output its `predictions` are the numbers, of several each is an object by their names; and
 * the same by columns, in `outputs`. Throws WorkerFaultError where one is missing or is no tensor.
 */
export function readPredictions(body: Uint8Array, wanted: readonly DeclaredTensor[]): Tensor[] {
  let answer: unknown;
  try {
    answer = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch (error) {
    throw new WorkerFaultError('protocol', `the server's answer is not JSON: ${(error as Error).message}`);
  }
  const { predictions, outputs } = isRecord(answer) ? answer : {};
  const rows = Array.isArray(predictions) ? predictions : null;
  const byName = rows === null ? isRecord(outputs) : isRecord(rows[0]);
  if ((rows ?? outputs) === undefined)
    throw new WorkerFaultError('protocol', "the server's answer has neither predictions nor outputs");
  return wanted.map((declared) => {
    const { name } = declared;
    if (!byName) {
      if (wanted.length > 1)
        throw new WorkerFaultError('protocol', `the server answered one output, without '${name}'`);
      return tensorOf(declared, rows ?? outputs);
    }
    const data = rows
      ? rows.map((row: unknown) => (isRecord(row) ? row[name] : undefined))
      : (outputs as Record<string, unknown>)[name];
    return tensorOf(declared, data);
  });
}

function tensorOf({ name, datatype, shape: declared }: DeclaredTensor, data: unknown): Tensor {
  const refuse = (reason: string) =>
    new WorkerFaultError('protocol', `the server answered '${name}': ${reason}`);
  if (!isDataType(datatype)) throw refuse(`${datatype} is no type of numbers`);
  const shape = shapeOf(data, declared?.length ?? null);
  if (shape.length > MAX_RANK) throw refuse(`it has more than ${MAX_RANK} dimensions`);
  if (!(elementCount(shape) * bytesPerElement[datatype] <= MAX_ANSWER_BYTES)) throw refuse('it is too large');
  requireRegular(data, shape, refuse);
  return { name, datatype, shape, data: bytesFromJson(datatype, shape, data, refuse) };
}

/** Of nested lists, by the first of each; no deeper than shows that they are too deep. */
function shapeOf(data: unknown, rank: number | null): number[] {
  const shape: number[] = [];
  for (let inner = data; Array.isArray(inner) && shape.length <= MAX_RANK; inner = inner[0]) {
    if (shape.length === rank) break;
    shape.push(inner.length);
  }
  return shape;
}

function requireRegular(
  data: unknown,
  [length, ...inner]: readonly number[],
  refuse: (reason: string) => Error,
): void {
  if (length === undefined) return;
  if (!Array.isArray(data) || data.length !== length)
    throw refuse(`expected a list of ${length}, as before it, and found ${excerpt(data)}`);
  if (inner.length > 0) for (const each of data) requireRegular(each, inner, refuse);
}

function isDataType(datatype: string): datatype is DataType {
  return Object.hasOwn(bytesPerElement, datatype);
}
