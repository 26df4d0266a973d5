import { BadUserInputError } from '../../../lib/errors.ts';
import type { Resolvers } from '../../generated/resolvers-types.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Mutation: {
    createUpload: async (_parent, { input }, context) => {
      const { tenant, apiKeyId, memberId, restriction } = callerOf(context, 'createUpload');
      const { publicUrl, services } = context;
      if (publicUrl === null) {
        throw new BadUserInputError(
          'The request names no valid host, so nobody can say where to PUT to: send a Host header.',
        );
      }
      const tokenId = restriction?.tokenId ?? null;
      const uploader = { tenantId: tenant.id, apiKeyId, tokenId, memberId };
      const { id, secret, expiresAt } = await services.uploads.create(uploader, {
        contentType: input.contentType,
        bytes: input.bytes,
        sha256: input.sha256 ?? null,
      });
      return { id, url: `${publicUrl}/uploads/${id}?secret=${secret}`, expiresAt };
    },
  },
};
