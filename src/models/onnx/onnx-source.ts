import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { outputTensors } from '../../inference/variant.ts';
import { fitInput, type InputFit } from '../fit-input.ts';
import type { Head } from '../heads/head.ts';
import type { Fault } from '../manifest-error.ts';
import type { ServedArtifact, SourceModel, SourceOptions } from '../source-model.ts';
import { dependentsOf } from './dependents.ts';
import { describeGraph } from './describe.ts';
import { pointToStore, readWeightFiles } from './external-data.ts';
import { fixBatch, freeBatch } from './free-batch.ts';
import { type OnnxModel, opsetOf, readModel, writeModel } from './model-file.ts';
import { addBatchAxis, castOutputs, keepOutputs } from './outputs.ts';
import { wrapInput } from './wrap-input.ts';

/** The oldest operators under which those that an import adds mean what they mean today. */
const OLDEST_OPSET = 7;

/** Reads an ONNX file, and finds the files that it keeps weights in. null where faults were pushed. */
export async function readOnnx(options: SourceOptions, faults: Fault[]): Promise<SourceModel | null> {
  const bytes = await readFile(options.modelPath);
  const model = readGraph(bytes, faults);
  const located = model && (await readWeightFiles(options, model, faults));
  if (!model || !located) return null;
  pointToStore(model, located);
  const files = new Map([...located.values()].map((each) => [each.sha256, each]));
  // As it was brought, but that files of weights go by their hashes.
  const file = files.size > 0 ? writeModel(model) : bytes;
  return {
    format: 'onnx',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    files,
    fitInput(wish, found) {
      const opset = opsetOf(model);
      if (opset < OLDEST_OPSET) {
        found.push({ path: 'file', found: `opset ${opset}`, wanted: `opset ${OLDEST_OPSET} or newer` });
      }
      const fit = fitInput(wish, describeGraph(model).inputs, found);
      return opset < OLDEST_OPSET ? null : fit;
    },
    original() {
      const original = readModel(file);
      return castOutputs(original) ? writeModel(original) : file;
    },
    dependsOn(input, outputs) {
      const dependents = dependentsOf(model.graph, input);
      return outputs.some((name) => dependents.has(name));
    },
    *served(fit, head, most) {
      for (const batch of batchesToTry(model, fit, head, most))
        yield buildServed(file, fit, head, batch, most);
    },
  };
}

function readGraph(file: Uint8Array, faults: Fault[]): OnnxModel | null {
  try {
    return readModel(file);
  } catch (error) {
    faults.push({
      path: 'file',
      found: error instanceof Error ? error.message : String(error),
      wanted: 'an ONNX model',
    });
    return null;
  }
}

/** What becomes of the batch dimension: it stays free as it is, is freed, or fixed at one picture. */
type BatchDimension = 'as it is' | 'freed' | 'fixed';

/** The best first. A graph whose outputs have no batch axis tells no pictures apart. */
function batchesToTry(model: OnnxModel, { input }: InputFit, head: Head, most: number): BatchDimension[] {
  if (most === 1 || head.unbatched.length > 0) return ['fixed'];
  const read = outputTensors(head.output);
  const outputs = describeGraph(model).outputs.filter(({ name }) => read.includes(name));
  const isFree = [input, ...outputs].every(({ shape }) => typeof shape?.[0] !== 'number');
  return isFree ? ['as it is', 'freed', 'fixed'] : ['freed', 'fixed'];
}

function buildServed(
  file: Uint8Array,
  { input, preprocessing }: InputFit,
  head: Head,
  batch: BatchDimension,
  most: number,
): ServedArtifact {
  const model = readModel(file);
  const changed = [castOutputs(model), keepOutputs(model, outputTensors(head.output))].some(Boolean);
  addBatchAxis(model, head.unbatched);
  if (batch === 'freed') freeBatch(model, input.name);
  if (batch === 'fixed') fixBatch(model, input.name);
  const inputTensor = wrapInput(model, input, preprocessing);
  const isAsBrought = !changed && batch === 'as it is' && inputTensor === input.name;
  return {
    artifact: isAsBrought ? file : writeModel(model),
    inputTensor,
    maxBatch: batch === 'fixed' ? 1 : most,
  };
}
