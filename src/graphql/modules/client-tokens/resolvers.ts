import type { Resolvers } from '../../generated/resolvers-types.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Mutation: {
    createClientToken: (_parent, { input: { scopes, models, maxUnits, origins, ttlSeconds } }, context) =>
      context.services.clientTokens.mint(callerOf(context, 'createClientToken'), {
        scopes,
        models: models ?? null,
        maxUnits: maxUnits ?? null,
        origins: origins ?? null,
        ttlSeconds,
      }),
  },
};
