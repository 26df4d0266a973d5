import { BadUserInputError } from '../lib/errors.ts';
import type { ClassifyRequest, DetectRequest, InferenceRequest, SegmentRequest } from './request.ts';

export const MAX_IMAGES = 32;
export const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 120_000;
const MAX_IDEMPOTENCY_KEY = 255;
const MAX_DETECTIONS = 1_000;

/** @throws BadUserInputError that names the field, what was found and the limit */
export function validateClassify(request: ClassifyRequest): void {
  validateInference(request);
  within('topK', request.topK, 1, Number.MAX_SAFE_INTEGER);
  within('minScore', request.minScore, 0, 1);
}

/** @throws as `validateClassify` */
export function validateDetect(request: DetectRequest): void {
  validateInference(request);
  within('minScore', request.minScore, 0, 1);
  within('iouThreshold', request.iouThreshold, 0, 1);
  within('maxDetections', request.maxDetections, 1, MAX_DETECTIONS);
}

/** @throws as `validateClassify` */
export function validateSegment(request: SegmentRequest): void {
  validateInference(request);
  within('minScore', request.minScore, 0, 1);
}

function validateInference({ images, timeoutMs, auto, idempotencyKey }: InferenceRequest): void {
  within('images', images.length, 1, MAX_IMAGES);
  if (timeoutMs !== null) within('timeoutMs', timeoutMs, 1, MAX_TIMEOUT_MS);
  if (idempotencyKey !== null) validateKey(idempotencyKey);
  if (auto) within('auto.maxAccuracyLoss', auto.maxAccuracyLoss, 0, 1);
  if (auto?.maxLatencyMs != null) within('auto.maxLatencyMs', auto.maxLatencyMs, 0, MAX_TIMEOUT_MS);
}

function validateKey(key: string): void {
  within('idempotencyKey', key.length, 1, MAX_IDEMPOTENCY_KEY);
  // PostgreSQL stores neither.
  if (key.includes('\0') || !key.isWellFormed()) {
    throw new BadUserInputError(
      'input.idempotencyKey: found NUL or half a surrogate pair, wanted plain text.',
    );
  }
}

const units: Record<string, string> = {
  images: ' images',
  idempotencyKey: ' characters',
  timeoutMs: ' milliseconds',
};

function within(field: string, found: number, low: number, high: number): void {
  if (found >= low && found <= high) return;
  const wanted = high === Number.MAX_SAFE_INTEGER ? `at least ${low}` : `${low} to ${high}`;
  throw new BadUserInputError(`input.${field}: found ${found}, wanted ${wanted}${units[field] ?? ''}.`);
}
