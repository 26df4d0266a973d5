import type { Span } from '../lib/tracing/span.ts';
import type { QuotaState } from '../metering/quota.ts';
import type { ImageErrorCode } from './images/image-error.ts';
import type { ImageSource } from './images/source.ts';
import type { Compression } from './variant.ts';

/** Who asks, as far as inference cares: a string with a weight, a quota and a bound on what it has in flight. */
export interface Caller {
  readonly tenantId: string;
  readonly apiKeyId: string | null;
  readonly memberId: string | null;
  readonly weight: number;
  /** The name of its plan, for those who watch over the queue. */
  readonly plan: string;
  /** Inference requests in flight at most. */
  readonly concurrency: number;
  /** null: unlimited. */
  readonly monthlyUnits: number | null;
  readonly hardLimit: boolean;
  /** Models it may ask for, each `name` or `name@version`; null: all. */
  readonly models: readonly string[] | null;
  /** What its credential may still spend, beside the tenant's quota; null: no such bound. */
  readonly budget: UnitBudget | null;
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
  /** What is done for it is traced below this. */
  readonly span: Span;
}

export interface UnitBudget {
  /** Takes `units`. Throws ForbiddenError, and takes none, where fewer are left. */
  take(units: number): Promise<void>;
  giveBack(units: number): Promise<void>;
}

export type Priority = 'INTERACTIVE' | 'BATCH';

/** Bounds a variant must meet, by its stored report, to be picked by `AUTO`. */
export interface AutoCompression {
  readonly maxAccuracyLoss: number;
  readonly maxLatencyMs: number | null;
}

export interface InferenceRequest {
  /** `name` or `name@version`. */
  readonly model: string;
  readonly images: readonly ImageSource[];
  readonly compression: Compression | 'AUTO';
  readonly auto: AutoCompression | null;
  readonly priority: Priority;
  readonly timeoutMs: number | null;
  readonly idempotencyKey: string | null;
}

export interface ClassifyRequest extends InferenceRequest {
  readonly topK: number;
  readonly minScore: number;
}

export interface DetectRequest extends InferenceRequest {
  readonly minScore: number;
  /** Of two boxes of one class that overlap more, the one of the lower score is dropped. */
  readonly iouThreshold: number;
  readonly maxDetections: number;
}

export interface SegmentRequest extends InferenceRequest {
  readonly minScore: number;
}

export interface LabelScore {
  readonly label: string;
  /** The graph's column. */
  readonly index: number;
  /** A probability, 0..1. */
  readonly score: number;
}

export interface Classification {
  readonly kind: 'classification';
  readonly width: number;
  readonly height: number;
  readonly labels: readonly LabelScore[];
}

/** Pixels of the oriented original, origin top left. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface DetectedObject {
  readonly label: string;
  /** The graph's class. */
  readonly index: number;
  readonly score: number;
  /** Clipped to the picture; never empty. */
  readonly box: Box;
}

export interface Detection {
  readonly kind: 'detection';
  readonly width: number;
  readonly height: number;
  /** Highest score first. */
  readonly objects: readonly DetectedObject[];
}

export interface Segment {
  readonly label: string;
  /** The graph's class. */
  readonly index: number;
  /** Mean probability of the segment's pixels; null where the graph answers class indices alone. */
  readonly score: number | null;
  /** Share of the picture, 0..1. */
  readonly areaFraction: number;
  /** Encloses the mask exactly, in whole pixels. */
  readonly box: Box;
  /** COCO's compressed run-length encoding (`counts`), column-major, of the picture's size. */
  readonly rle: string;
}

export interface Segmentation {
  readonly kind: 'segmentation';
  readonly width: number;
  readonly height: number;
  /** In the order of their class. */
  readonly segments: readonly Segment[];
}

export interface FailedImage {
  readonly kind: 'error';
  readonly code: ImageErrorCode;
  readonly message: string;
}

/**
 * Milliseconds. Each stage is the longest that any image of the request spent in it; what lies between them, such as fetching a
 * picture or waiting for a thread, is in the total alone.
 */
export interface Timings {
  /** From its admission until its booking is asked for, which tells it. */
  readonly totalMs: number;
  /** In a thread. */
  readonly decodeMs: number;
  /** Decoded and waiting: here, and at the worker as far as that tells; for a run of an equal image instead, where one is under way. */
  readonly queueMs: number;
  /** In the engine, of the whole batch; there and back where the worker does not tell. */
  readonly inferenceMs: number;
  /** Reading the model's answer. */
  readonly postprocessMs: number;
}

export interface Receipt {
  readonly requestId: string;
  readonly model: string;
  readonly version: number;
  readonly compression: Compression;
  readonly device: string;
  readonly images: number;
  readonly units: number;
  readonly cachedImages: number;
  readonly replayed: boolean;
  readonly batchSize: number;
  readonly timings: Timings;
  readonly quota: QuotaState;
}

export interface Answer<Result> {
  readonly results: readonly (Result | FailedImage)[];
  readonly receipt: Receipt;
}

export type ClassifyAnswer = Answer<Classification>;
export type DetectAnswer = Answer<Detection>;
export type SegmentAnswer = Answer<Segmentation>;
