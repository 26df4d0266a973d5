import type { Caller } from '../../../inference/request.ts';
import type { ProtectedAction } from '../../../tenants/permissions.ts';
import type { GraphqlContext } from '../../context.ts';
import type { Resolvers } from '../../generated/resolvers-types.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Mutation: {
    classify: (_parent, { input }, context) =>
      context.services.inference.classify(inferenceCaller(context, 'classify'), {
        model: input.model,
        images: input.images,
        topK: input.topK,
        minScore: input.minScore,
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
      }),
  },
  ClassifyResult: {
    __resolveType: ({ kind }) => (kind === 'error' ? 'ImageError' : 'Classification'),
  },
};

/** The caller as inference knows it: a string with a weight and limits. */
function inferenceCaller(context: GraphqlContext, action: ProtectedAction): Caller {
  const { tenant, apiKeyId, memberId } = callerOf(context, action);
  const { weight, concurrency, monthlyUnits, hardLimit } = tenant.plan;
  const { signal } = context;
  return {
    tenantId: tenant.id,
    apiKeyId,
    memberId,
    weight,
    concurrency,
    monthlyUnits,
    hardLimit,
    models: null,
    budget: null,
    signal,
  };
}
