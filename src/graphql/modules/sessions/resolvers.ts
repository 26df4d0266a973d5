import type { Resolvers } from '../../generated/resolvers-types.ts';
import { callerOf } from '../../permissions.ts';

export const resolvers: Resolvers = {
  Mutation: {
    signIn: (_parent, { input: { email, password } }, { services, clientAddress }) =>
      services.sessions.signIn(email, password, clientAddress),
    refresh: (_parent, { refreshToken }, { services }) => services.sessions.refresh(refreshToken),
    signOut: async (_parent, _args, context) => {
      await context.services.sessions.signOut(callerOf(context, 'signOut'));
      return true;
    },
  },
  SignInPayload: {
    viewer: ({ principal }) => principal,
  },
};
