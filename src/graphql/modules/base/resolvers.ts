import { authorize } from '../../../tenants/permissions.ts';
import type { GraphqlContext } from '../../context.ts';
import type { Resolvers, ResolversParentTypes } from '../../generated/resolvers-types.ts';
import { type GlobalId, parseGlobalId } from '../../global-id.ts';
import { BigIntScalar, DateTime, UrlScalar } from '../../scalars.ts';

export const resolvers: Resolvers = {
  DateTime,
  URL: UrlScalar,
  BigInt: BigIntScalar,
  Node: {
    __resolveType: (node) => ('plan' in node ? 'Tenant' : 'variants' in node ? 'Model' : 'ApiKey'),
  },
  Query: {
    node: (_parent, { id }, context) => {
      const parsed = parseGlobalId(id);
      return parsed && load(parsed, context);
    },
  },
};

/** null where there is none, or it is someone else's: the two are told apart to nobody. An id opens no more than the list it is from. */
async function load(
  { kind, uuid }: GlobalId,
  { principal, services }: GraphqlContext,
): Promise<ResolversParentTypes['Node'] | null> {
  switch (kind) {
    case 'tenant': {
      const { tenant } = authorize(principal, 'viewer');
      return tenant.id === uuid ? tenant : null;
    }
    case 'model':
      return services.models.get(authorize(principal, 'models').tenant.id, uuid);
    case 'key':
      return services.apiKeys.get(authorize(principal, 'apiKeys'), uuid);
  }
}
