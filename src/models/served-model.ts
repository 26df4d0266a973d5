import { z } from 'zod';
import type { Prisma } from '../db/generated/client.ts';
import type { Preprocessing } from '../inference/preprocessing.ts';
import {
  type Compression,
  modelFormats,
  type Task,
  type Variant,
  type VariantOutput,
} from '../inference/variant.ts';

/** One version of a model with the variants that are stored of it. */
export interface ServedModel {
  readonly id: string;
  /** null: public. */
  readonly tenantId: string | null;
  readonly name: string;
  readonly version: number;
  readonly task: Task;
  /** One a column of the graph. */
  readonly labels: readonly string[];
  readonly license: string | null;
  readonly description: string | null;
  readonly inputWidth: number;
  readonly inputHeight: number;
  readonly createdAt: Date;
  readonly variants: readonly StoredVariant[];
}

export interface StoredVariant extends Variant {
  readonly sizeBytes: number;
  /** null: not measured, as the uncompressed variant. */
  readonly report: CompressionReport | null;
}

/** A variant measured against the uncompressed one when it was made. */
export interface CompressionReport {
  readonly dataset: string;
  readonly samples: number;
  /** Accuracy of the variant minus that of the uncompressed one, 0..1: below 0 is a loss. null: no labels to tell. */
  readonly accuracyDelta: number | null;
  /** Share of samples with the same first label, 0..1. */
  readonly agreement: number;
  /** Times as fast. */
  readonly speedup: number;
  /** Size over the uncompressed one's. */
  readonly sizeRatio: number;
  readonly sparsity: number | null;
}

export type ModelRow = Prisma.ModelGetPayload<{ include: { variants: true } }>;

// The columns are text and JSON to the client library: reading them through a schema turns a row that something else
// wrote into an error here instead of a wrong answer later.
const task = z.enum(['CLASSIFY', 'DETECT', 'SEGMENT']);
const compression = z.enum(['NONE', 'FLOAT16', 'INT8', 'PRUNED']);
const input = z.object({
  tensor: z.string(),
  width: z.number(),
  height: z.number(),
  fit: z.enum(['cover', 'contain', 'fill']),
  resizeShort: z.number().nullable(),
  align: z.enum(['center', 'top-left']),
  pad: z.number(),
});
const format = z.enum(modelFormats);
const preprocessing: z.ZodType<Preprocessing> = z.object({
  layout: z.enum(['NCHW', 'NHWC']),
  width: z.number(),
  height: z.number(),
  color: z.enum(['RGB', 'BGR', 'GRAY']),
  scale: z.number(),
  mean: z.array(z.number()),
  std: z.array(z.number()),
});
const background = z.number().nullable();
const strides = z.array(z.number());
const normalized = z.boolean();
const output: z.ZodType<VariantOutput> = z.discriminatedUnion('kind', [
  z.object({ kind: z.enum(['logits', 'probabilities']), tensor: z.string(), background }),
  z.object({
    kind: z.literal('yolov5'),
    tensor: z.string(),
    strides,
    anchors: z.array(z.array(z.number())).nullable(),
  }),
  z.object({ kind: z.enum(['yolov8', 'yolox']), tensor: z.string(), strides }),
  z.object({ kind: z.literal('nanodet'), tensor: z.string(), strides, regMax: z.number() }),
  z.object({
    kind: z.literal('boxes-scores'),
    boxes: z.string(),
    scores: z.string(),
    format: z.enum(['xyxy', 'cxcywh']),
    normalized,
    background,
  }),
  z.object({
    kind: z.literal('ssd'),
    boxes: z.string(),
    scores: z.string(),
    classes: z.string(),
    count: z.string(),
    format: z.enum(['yxyx', 'xyxy']),
    normalized,
  }),
  z.object({
    kind: z.literal('detections'),
    tensor: z.string(),
    columns: z.array(z.string()),
    normalized,
  }),
  z.object({
    kind: z.enum(['mask-logits', 'mask-probabilities']),
    tensor: z.string(),
    layout: z.enum(['NCHW', 'NHWC']),
    background,
  }),
  z.object({ kind: z.literal('labels'), tensor: z.string(), background }),
]);
const report = z.object({
  dataset: z.string(),
  samples: z.number(),
  accuracyDelta: z.number().nullable(),
  agreement: z.number(),
  speedup: z.number(),
  sizeRatio: z.number(),
  sparsity: z.number().nullable(),
});

export function servedModel(row: ModelRow): ServedModel {
  const { id, tenantId, name, version, labels, license, description, inputWidth, inputHeight, createdAt } =
    row;
  const shared = {
    id,
    tenantId,
    name,
    version,
    labels,
    license,
    description,
    inputWidth,
    inputHeight,
    createdAt,
  };
  const ofTask = task.parse(row.task);
  const variants = row.variants.map((variant): StoredVariant => {
    const ofCompression = compression.parse(variant.compression);
    return {
      key: variantKey(id, ofCompression, variant.artifactSha256),
      title: titleOf(row, ofCompression),
      task: ofTask,
      compression: ofCompression,
      format: format.parse(variant.format),
      publicName: row.tenantId === null ? publicName(row, ofCompression) : null,
      preprocessing: preprocessing.nullable().parse(variant.preprocessing),
      artifactSha256: variant.artifactSha256,
      externalData: variant.externalData,
      input: input.parse(variant.input),
      output: output.parse(variant.output),
      labels,
      maxBatch: variant.maxBatch,
      maxQueueDelayMs: variant.maxQueueDelayMs,
      unitsPerImage: variant.unitsPerImage,
      sizeBytes: Number(variant.sizeBytes),
      report: report.nullable().parse(variant.report),
    };
  });
  return { ...shared, task: ofTask, variants };
}

/** The row's id stands for how the artefact is fed, which never changes; all of it may stand in a URL's path. */
function variantKey(modelId: string, compression: string, sha256: string): string {
  return `${modelId}.${compression.toLowerCase()}.${sha256.slice(0, 12)}`;
}

function titleOf({ name, version }: ModelRow, of: Compression): string {
  return `${name}@${version}${of === 'NONE' ? '' : `~${of.toLowerCase()}`}`;
}

/** No model's name has a `~`, so that no two variants share one. */
function publicName({ name, version }: ModelRow, of: Compression): { name: string; version: number } {
  return { name: of === 'NONE' ? name : `${name}~${of.toLowerCase()}`, version };
}
