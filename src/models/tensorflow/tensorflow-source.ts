import { PIXEL_INPUT, writeBundle } from '../../inference/bundle.ts';
import type { ModelFormat } from '../../inference/variant.ts';
import { fitInput } from '../fit-input.ts';
import type { GraphTensor } from '../onnx/describe.ts';
import type { ModelFile, SourceModel } from '../source-model.ts';

/** What a format's own reader found. */
export interface TensorFlowFiles {
  readonly sha256: string;
  /** By their places in the model's folder. */
  readonly files: ReadonlyMap<string, ModelFile>;
  /** As the model declares them; a type of whole numbers that stands for bytes is UINT8. */
  readonly inputs: readonly GraphTensor[];
}

/** A model of TensorFlow is served from the files it came in: the engine prepares its pixels, and a bundle says how. */
export function tensorFlowSource(
  format: Exclude<ModelFormat, 'onnx'>,
  { sha256, files, inputs }: TensorFlowFiles,
): SourceModel {
  const hashes = Object.fromEntries([...files].map(([place, file]) => [place, file.sha256]));
  return {
    format,
    sha256,
    files: new Map([...files.values()].map((file) => [file.sha256, file])),
    fitInput: (wish, faults) => fitInput(wish, inputs, faults),
    original: () => writeBundle({ files: hashes, preprocessing: null, unbatched: [] }),
    dependsOn: () => null,
    *served({ input, preprocessing }, { unbatched }, most) {
      const artifact = writeBundle({ files: hashes, preprocessing, unbatched });
      const takesMany = typeof input.shape?.[0] !== 'number' && unbatched.length === 0;
      if (takesMany && most > 1) yield { artifact, inputTensor: PIXEL_INPUT, maxBatch: most };
      yield { artifact, inputTensor: PIXEL_INPUT, maxBatch: 1 };
    },
  };
}
