import type { Resolvers } from '../../generated/resolvers-types.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Query: {
    invoicePreview: (_parent, _args, context) => {
      const { id, plan } = callerOf(context, 'invoicePreview').tenant;
      return context.services.invoices.preview(id, plan, new Date());
    },
  },
};
