import { connection } from '../../connection.ts';
import type { Resolvers } from '../../generated/resolvers-types.ts';
import { globalId, uuidOf } from '../../global-id.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Query: {
    apiKeys: async (_parent, { first, after, includeRevoked }, context) => {
      const page = await context.services.apiKeys.list(callerOf(context, 'apiKeys'), {
        first,
        after: after == null ? null : Buffer.from(after, 'base64url').toString(),
        includeRevoked,
      });
      return connection(page, ({ id }) => Buffer.from(id).toString('base64url'));
    },
  },
  Mutation: {
    createApiKey: (_parent, { input: { name, scopes, expiresAt } }, context) =>
      context.services.apiKeys.create(callerOf(context, 'createApiKey'), {
        name,
        scopes,
        expiresAt: expiresAt ?? null,
      }),
    rotateApiKey: (_parent, { id, graceSeconds }, context) =>
      context.services.apiKeys.rotate(callerOf(context, 'rotateApiKey'), uuidOf('key', id), graceSeconds),
    revokeApiKey: (_parent, { id }, context) =>
      context.services.apiKeys.revoke(callerOf(context, 'revokeApiKey'), uuidOf('key', id)),
  },
  ApiKey: {
    id: ({ id }) => globalId('key', id),
    usage: ({ id }, { from, to }, context) =>
      context.services.usage.ofApiKey(callerOf(context, 'ApiKey.usage').tenant.id, id, from, to),
  },
};
