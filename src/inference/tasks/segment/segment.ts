import { placeImage } from '../../images/geometry.ts';
import { ImageError } from '../../images/image-error.ts';
import { elementsOf } from '../../oip/elements.ts';
import type { Segment } from '../../request.ts';
import { elementCount, type Tensor } from '../../tensor.ts';
import type { InputGeometry, SegmentOutput } from '../../variant.ts';
import type { CommonReading } from '../reading.ts';
import { sampleAxis } from './axis.ts';
import { type Cells, foregroundCells, labelledCells, type Part, scoredCells } from './cells.ts';
import { traceSegments } from './trace.ts';

export interface SegmentReading extends CommonReading {
  readonly output: SegmentOutput;
  readonly input: InputGeometry;
  /** Least mean probability of a segment; of one channel, least probability of a pixel. */
  readonly minScore: number;
}

/**
 * Reads what a segmenter said about one image. The mask is brought to the original's size first: scores are interpolated
 * bilinearly, and of every pixel the highest wins; class indices are taken from the nearest cell. Of a letterbox its picture
 * alone is looked at; pixels that a crop left out belong to no segment. A segment's score is the mean of its pixels'
 * probabilities, each at its nearest cell.
 * @param tensors the output without its batch axis: scores `[C, h, w]` or `[h, w, C]` (FP32), or indices `[h, w]` or
 *   `[1, h, w]` of any whole or floating type
 * @returns the classes present but the background, in their order
 * @throws ImageError INFERENCE_FAILED where the model answered what cannot be read
 */
export function segment([mask]: readonly Tensor[], reading: SegmentReading): Segment[] {
  const { output, input, labels, original, minScore } = reading;
  const { width, height, channels } = measure(mask!, output, labels.length);
  const place = placeImage(original, input);
  const interpolate = output.kind !== 'labels';
  const across = sampleAxis({
    ...{ length: original.width, scale: place.scaleX, offset: place.offsetX, resized: place.resized.width },
    ...{ input: input.width, cells: width, interpolate },
  });
  const down = sampleAxis({
    ...{ length: original.height, scale: place.scaleY, offset: place.offsetY, resized: place.resized.height },
    ...{ input: input.height, cells: height, interpolate },
  });
  const part = { left: across.first, right: across.last, top: down.first, bottom: down.last };

  const isForeground = interpolate && channels === 1;
  const ignored = isForeground ? 1 : output.background;
  const cells = readCells(mask!, reading, { width, height, classes: labels.length }, part, ignored);
  return (
    traceSegments(cells, across, down, original, ignored)
      // One channel was held against minScore pixel by pixel.
      .filter(({ score }) => isForeground || score === null || score >= minScore)
      .map(({ index, pixels, score, box, rle }) => ({
        label: labels[index]!,
        index,
        score,
        areaFraction: pixels / (original.width * original.height),
        box,
        rle,
      }))
  );
}

function readCells(
  { datatype, data }: Tensor,
  { output, minScore }: SegmentReading,
  size: { width: number; height: number; classes: number },
  part: Part,
  ignored: number | null,
): Cells {
  if (output.kind === 'labels') return labelledCells(elementsOf(datatype, data), size, part);
  const { kind, layout } = output;
  const area = size.width * size.height;
  const strides =
    layout === 'NCHW' ? { classStride: area, cellStride: 1 } : { classStride: 1, cellStride: size.classes };
  const tensor = { data: elementsOf('FP32', data), ...size, ...strides, kind };
  return size.classes === 1 ? foregroundCells(tensor, part, minScore) : scoredCells(tensor, part, ignored);
}

/** @throws ImageError where the mask has not the shape that its head says: a graph may answer another one for each image */
function measure({ shape, datatype }: Tensor, output: SegmentOutput, classes: number) {
  const isLabels = output.kind === 'labels';
  const dimensions = isLabels && shape.length === 2 ? [1, ...shape] : shape;
  const [first, second, third] = dimensions as [number, number, number];
  const [channels, height, width] =
    !isLabels && output.layout === 'NHWC' ? [third, first, second] : [first, second, third];
  const isReadable = isLabels ? datatype !== 'FP16' : datatype === 'FP32';
  if (
    dimensions.length !== 3 ||
    channels !== (isLabels ? 1 : classes) ||
    elementCount(shape) === 0 ||
    !isReadable
  ) {
    throw new ImageError(
      'INFERENCE_FAILED',
      `the model answered a mask of ${datatype} [${shape.join(', ')}], which cannot be read`,
    );
  }
  return { width, height, channels };
}
