import { OipError } from '../oip/errors.ts';
import { MAX_TENSOR_BYTES } from '../oip/limits.ts';
import type { Preprocessing } from '../preprocessing.ts';
import { bytesPerElement, elementCount } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import {
  allows,
  type DeclaredModel,
  type DeclaredTensor,
  formatAll,
  formatDeclared,
} from './declared-model.ts';

export type FedType = 'UINT8' | 'FP16' | 'FP32';

/** How a model of another server is fed pixels. */
export interface InputFeed {
  /** The input's name there. */
  readonly tensor: string;
  readonly datatype: FedType;
  /** Of one picture. */
  readonly shape: readonly number[];
  /** What is made of the pixels, its layout that of `shape`; null: they go as they are. */
  readonly preparation: Preprocessing | null;
  /** Pictures of one request, at most. */
  readonly most: number;
}

const fedTypes: readonly string[] = ['UINT8', 'FP16', 'FP32'] satisfies FedType[];

/**
 * Decides how a declared model gets a variant's pixels: `UINT8 [N,height,width,3]` as they are, which is what an exported
 * graph takes; floats, and bytes in another layout, as the variant's `preprocessing` makes them.
 *
 * @throws OipError 422 that says what is declared and what was wanted
 */
export function feedInput({ inputs, maxBatch, maxBytes }: DeclaredModel, variant: Variant): InputFeed {
  const [input] = inputs;
  if (input === undefined || inputs.length > 1) {
    throw new OipError(422, `it takes the inputs ${formatAll(inputs)}; wanted one, for the pictures`);
  }
  const refuse = (wanted: string) =>
    new OipError(422, `it takes the input ${formatDeclared(input)}; wanted ${wanted}`);
  if (!isFedType(input.datatype)) throw refuse(wantedInput(variant));
  const { preparation, shape } = whatIsMade(input, variant, refuse);
  const batch = input.shape![0]!;
  if (batch !== -1 && batch !== 1) throw refuse(`a batch of 1 or a free one (-1) in place of ${batch}`);
  const bytes = elementCount(shape) * bytesPerElement[input.datatype];
  if (bytes > MAX_TENSOR_BYTES) throw refuse(`at most ${MAX_TENSOR_BYTES} bytes a picture, not ${bytes}`);
  const fitting = Math.max(1, Math.floor(maxBytes / bytes));
  const most = Math.min(batch === 1 ? 1 : variant.maxBatch, maxBatch ?? variant.maxBatch, fitting);
  return { tensor: input.name, datatype: input.datatype, shape, preparation, most };
}

function whatIsMade(
  { name, datatype, shape: declared }: DeclaredTensor,
  variant: Variant,
  refuse: (wanted: string) => OipError,
): Pick<InputFeed, 'preparation' | 'shape'> {
  const { preprocessing } = variant;
  const pixels = shapeOf('NHWC', 3, variant);
  const fits = (shape: readonly number[]) => declared !== null && allows(declared, [-1, ...shape]);
  if (datatype === 'UINT8' && fits(pixels) && !isOriginalBgr(name, variant))
    return { preparation: null, shape: pixels };
  if (preprocessing === null) {
    throw refuse(
      `UINT8 [N,${pixels.join(',')}]: how the pixels of this model are prepared was not noted down when it was imported. ` +
        'Import it as a new version',
    );
  }
  for (const layout of [preprocessing.layout, preprocessing.layout === 'NCHW' ? 'NHWC' : 'NCHW'] as const) {
    const shape = shapeOf(layout, preprocessing.mean.length, variant);
    if (fits(shape)) return { preparation: { ...preprocessing, layout }, shape };
  }
  throw refuse(wantedInput(variant));
}

/** A model of bytes in BGR looks like one that takes pixels; only a graph of Fovea's own names its input as this one does. */
function isOriginalBgr(name: string, { preprocessing, format, input }: Variant): boolean {
  return preprocessing?.color === 'BGR' && !(format === 'onnx' && name === input.tensor);
}

function shapeOf(
  layout: Preprocessing['layout'],
  channels: number,
  { input: { width, height } }: Variant,
): readonly number[] {
  return layout === 'NCHW' ? [channels, height, width] : [height, width, channels];
}

function wantedInput(variant: Variant): string {
  const channels = variant.preprocessing?.mean.length ?? 3;
  const shapes = (['NHWC', 'NCHW'] as const).map((layout) => shapeOf(layout, channels, variant).join(','));
  const { width, height } = variant.input;
  return `UINT8 [N,${height},${width},3], or ${fedTypes.join(', ')} ${shapes.map((shape) => `[N,${shape}]`).join(' or ')}`;
}

function isFedType(datatype: string): datatype is FedType {
  return fedTypes.includes(datatype);
}
