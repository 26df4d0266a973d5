import type { Caller, InferenceRequest } from '../../../inference/request.ts';
import type { ProtectedAction } from '../../../tenants/permissions.ts';
import type { GraphqlContext } from '../../context.ts';
import type { ClassifyInput, DetectInput, Resolvers, SegmentInput } from '../../generated/resolvers-types.ts';
import { callerOf } from '../../permissions.ts';
import { countDrawn } from './drawn-pixels.ts';
import { boxIn, inPicture } from './in-picture.ts';

export const resolvers: Resolvers = {
  Mutation: {
    classify: (_parent, { input }, context) =>
      context.services.inference.classify(inferenceCaller(context, 'classify'), {
        ...inferenceRequest(input),
        topK: input.topK,
        minScore: input.minScore,
      }),
    detect: (_parent, { input }, context) =>
      context.services.inference.detect(inferenceCaller(context, 'detect'), {
        ...inferenceRequest(input),
        minScore: input.minScore,
        iouThreshold: input.iouThreshold,
        maxDetections: input.maxDetections,
      }),
    segment: (_parent, { input }, context) =>
      context.services.inference.segment(inferenceCaller(context, 'segment'), {
        ...inferenceRequest(input),
        minScore: input.minScore,
      }),
  },
  ClassifyResult: {
    __resolveType: ({ kind }) => (kind === 'error' ? 'ImageError' : 'Classification'),
  },
  DetectResult: {
    __resolveType: ({ kind }) => (kind === 'error' ? 'ImageError' : 'Detection'),
  },
  SegmentResult: {
    __resolveType: ({ kind }) => (kind === 'error' ? 'ImageError' : 'Segmentation'),
  },
  Detection: {
    objects: (detection) => inPicture(detection.objects, detection),
  },
  Segmentation: {
    segments: (segmentation) => inPicture(segmentation.segments, segmentation),
  },
  DetectedObject: {
    box: (object, { space }) => boxIn(space, object),
  },
  Segment: {
    box: (segment, { space }) => boxIn(space, segment),
    // As a promise it fails beside the masks that are being drawn, which the executor then still waits for or catches.
    png: async ({ rle, picture }, _args, context) => {
      const { tenant } = callerOf(context, 'segment');
      countDrawn(context, picture);
      return context.services.inference.maskPng(tenant.id, rle, picture, context.signal);
    },
  },
};

/** What every task's input has, as inference knows it. */
function inferenceRequest(input: ClassifyInput | DetectInput | SegmentInput): InferenceRequest {
  return {
    model: input.model,
    images: input.images,
    compression: input.compression,
    auto: input.auto
      ? {
          maxAccuracyLoss: input.auto.maxAccuracyLoss ?? 0.01,
          maxLatencyMs: input.auto.maxLatencyMs ?? null,
        }
      : null,
    priority: input.priority,
    timeoutMs: input.timeoutMs ?? null,
    idempotencyKey: input.idempotencyKey ?? null,
  };
}

/** The caller as inference knows it: a string with a weight and limits. */
function inferenceCaller(context: GraphqlContext, action: ProtectedAction): Caller {
  const principal = callerOf(context, action);
  const { tenant, apiKeyId, memberId, restriction } = principal;
  const { name: plan, weight, concurrency, monthlyUnits, hardLimit } = tenant.plan;
  const { signal, span } = context;
  return {
    tenantId: tenant.id,
    apiKeyId,
    memberId,
    weight,
    plan,
    concurrency,
    monthlyUnits,
    hardLimit,
    models: restriction?.models ?? null,
    budget: context.services.clientTokens.budget(principal),
    signal,
    span,
  };
}
