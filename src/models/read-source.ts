import type { ModelFormat } from '../inference/variant.ts';
import type { Fault } from './manifest-error.ts';
import { readOnnx } from './onnx/onnx-source.ts';
import type { SourceModel, SourceOptions } from './source-model.ts';
import { readSavedModel } from './tensorflow/read-saved-model.ts';
import { readTfjs } from './tensorflow/read-tfjs.ts';

const readers: Readonly<
  Record<ModelFormat, (options: SourceOptions, faults: Fault[]) => Promise<SourceModel | null>>
> = {
  onnx: readOnnx,
  'saved-model': readSavedModel,
  'tfjs-graph': (options, faults) => readTfjs('tfjs-graph', options, faults),
  'tfjs-layers': (options, faults) => readTfjs('tfjs-layers', options, faults),
};

/** Reads the model that a manifest names, as its format has it. null where faults were pushed. */
export function readSource(
  format: ModelFormat,
  options: SourceOptions,
  faults: Fault[],
): Promise<SourceModel | null> {
  return readers[format](options, faults);
}
