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
  /** Inference requests in flight at most. */
  readonly concurrency: number;
  /** null: unlimited. */
  readonly monthlyUnits: number | null;
  readonly hardLimit: boolean;
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
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

export interface FailedImage {
  readonly kind: 'error';
  readonly code: ImageErrorCode;
  readonly message: string;
}

/** Milliseconds. Each stage is the longest that any image of the request spent in it. */
export interface Timings {
  readonly totalMs: number;
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly inferenceMs: number;
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

export interface ClassifyAnswer {
  readonly results: readonly (Classification | FailedImage)[];
  readonly receipt: Receipt;
}
