import type { Resolvers } from '../../generated/resolvers-types.ts';
import { globalId } from '../../global-id.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Query: {
    usage: (_parent, { from, to, bucket, groupBy }, context) =>
      context.services.usage.usage(callerOf(context, 'usage').tenant.id, { from, to, bucket, groupBy }),
    quota: (_parent, _args, context) => {
      const { tenant } = callerOf(context, 'quota');
      return context.services.ledger.quota(tenant.id, tenant.plan.monthlyUnits);
    },
  },
  UsagePoint: {
    apiKeyId: ({ apiKeyId }) => (apiKeyId == null ? null : globalId('key', apiKeyId)),
  },
};
