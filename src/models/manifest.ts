import { z } from 'zod';
import { modelFormats } from '../inference/variant.ts';

/**
 * A model's manifest: how to feed the file beside it and how to read what it answers. The whole format is parsed here;
 * which part of it can be imported is for `readManifest` to say.
 */
export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestInput = Manifest['input'];
export type ManifestOutput = Manifest['output'];
export type OutputKind = ManifestOutput['kind'];
export type OutputOf<K extends OutputKind> = Extract<ManifestOutput, { kind: K }>;

/** What a task's models may answer. */
export const kindsOfTask: Readonly<Record<Manifest['task'], readonly OutputKind[]>> = {
  CLASSIFY: ['logits', 'probabilities'],
  DETECT: ['yolov5', 'yolov8', 'yolox', 'nanodet', 'boxes-scores', 'ssd', 'detections'],
  SEGMENT: ['mask-logits', 'mask-probabilities', 'labels'],
};

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const count = z.int().min(1);
const tensor = z.string().min(1);
/** One number for all channels, or one a channel. */
const perChannel = z.union([z.number(), z.array(z.number()).min(1).max(3)], {
  error: 'a number, or a list of one number a channel',
});
const nonZero = z.number().refine((value) => value !== 0, { error: 'a number other than 0' });
const column = z.int().min(0).nullable();

const input = z.strictObject({
  layout: z.enum(['NCHW', 'NHWC']).nullable().default(null), // null: from the graph's shape
  width: count.max(16_384),
  height: count.max(16_384),
  fit: z.enum(['cover', 'contain', 'fill']).default('fill'),
  resizeShort: count.max(16_384).nullable().default(null), // null: the crop's own size
  align: z.enum(['center', 'top-left']).default('center'),
  pad: z.int().min(0).max(255).default(0),
  color: z.enum(['RGB', 'BGR', 'GRAY']).default('RGB'),
  scale: nonZero.default(1),
  mean: perChannel.default(0),
  std: z
    .union([nonZero, z.array(nonZero).min(1).max(3)], {
      error: 'a number other than 0, or a list of one such number a channel',
    })
    .default(1),
});

/** The graph's tensor; needed where several outputs could be meant. */
const anyTensor = { tensor: tensor.optional() };
const gridDetector = { ...anyTensor, strides: z.array(count).min(1) };
const classifier = {
  /** The graph's tensor; needed where several outputs could be meant. */
  scores: tensor.optional(),
  /** The column that is no answer. */
  background: column.default(null),
};
const mask = {
  ...anyTensor,
  layout: z.enum(['NCHW', 'NHWC']).default('NCHW'),
  background: column.default(0),
};

/** What a row of `detections` may hold; x and y are the corner with the smaller values, `batch` is read over. */
const detectionColumns = [
  ...(['x1', 'y1', 'x2', 'y2', 'cx', 'cy', 'x', 'y', 'w', 'h'] as const),
  ...(['score', 'class', 'batch'] as const),
] as const;

const output = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('logits'), ...classifier }),
  z.strictObject({ kind: z.literal('probabilities'), ...classifier }),
  z.strictObject({
    kind: z.literal('yolov5'),
    ...gridDetector,
    // One list a stride: width and height of each anchor in turn, pixels; null: the graph decodes by itself.
    anchors: z.array(z.array(z.number().positive()).min(2)).min(1).nullable().default(null),
  }),
  z.strictObject({ kind: z.literal('yolov8'), ...gridDetector }),
  z.strictObject({ kind: z.literal('yolox'), ...gridDetector }),
  z.strictObject({ kind: z.literal('nanodet'), ...gridDetector, regMax: count }),
  z.strictObject({
    kind: z.literal('boxes-scores'),
    boxes: tensor,
    scores: tensor,
    format: z.enum(['xyxy', 'cxcywh']),
    normalized: z.boolean(),
    background: column.default(null),
  }),
  z.strictObject({
    kind: z.literal('ssd'),
    boxes: tensor,
    scores: tensor,
    classes: tensor,
    count: tensor,
    format: z.enum(['yxyx', 'xyxy']),
    normalized: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('detections'),
    ...anyTensor,
    columns: z.array(z.enum(detectionColumns)).min(1),
    normalized: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('mask-logits'), ...mask }),
  z.strictObject({ kind: z.literal('mask-probabilities'), ...mask }),
  z.strictObject({ kind: z.literal('labels'), ...anyTensor, background: column.default(0) }),
]);

export const manifestSchema = z.strictObject({
  name: z.string().regex(NAME, { error: 'a name like [A-Za-z0-9][A-Za-z0-9._-]{0,63}' }),
  version: count.max(2_147_483_647),
  task: z.enum(['CLASSIFY', 'DETECT', 'SEGMENT']),
  format: z.enum(modelFormats),
  file: z.string().min(1),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'a SHA-256: 64 digits of lower-case hex' })
    .optional(),
  license: z.string().min(1).optional(),
  description: z.string().min(1).optional(),
  input,
  output,
  labels: z.string().min(1),
  unitsPerImage: count.max(1_000_000).default(1),
  /** How long a batch that is not full may wait for more images. */
  maxQueueDelayMs: z.int().min(0).max(10_000).default(0),
});
