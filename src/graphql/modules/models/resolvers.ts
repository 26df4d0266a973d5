import { modelCursor } from '../../../models/registry.ts';
import { connection } from '../../connection.ts';
import type { Resolvers } from '../../generated/resolvers-types.ts';
import { globalId } from '../../global-id.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Query: {
    model: (_parent, { name, version }, context) => {
      const { tenant } = callerOf(context, 'model');
      return context.services.models.resolve(tenant.id, version == null ? name : `${name}@${version}`);
    },
    models: async (_parent, { first, after, task }, context) => {
      const { tenant } = callerOf(context, 'models');
      const page = await context.services.models.list(tenant.id, {
        first,
        after: after ?? null,
        task: task ?? null,
      });
      return connection(page, modelCursor);
    },
  },
  Model: {
    id: ({ id }) => globalId('model', id),
    isPublic: ({ tenantId }) => tenantId === null,
  },
};
