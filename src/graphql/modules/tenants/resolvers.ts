import { SCOPES } from '../../../tenants/types.ts';
import type { Resolvers } from '../../generated/resolvers-types.ts';
import { globalId } from '../../global-id.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Query: {
    viewer: (_parent, _args, context) => callerOf(context, 'viewer'),
  },
  Viewer: {
    principal: ({ name }) => name,
    scopes: ({ scopes }) => SCOPES.filter((scope) => scopes.has(scope)),
  },
  Tenant: {
    id: ({ id }) => globalId('tenant', id),
  },
};
