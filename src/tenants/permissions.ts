import { ForbiddenError, UnauthenticatedError } from '../lib/errors.ts';
import { type Principal, type Role, SCOPES, type Scope } from './types.ts';

/** Any one of these scopes will do · anyone who is known · everyone. */
type Rule = { readonly anyOf: readonly Scope[] } | 'principal' | 'public';

/**
 * Who may do what, one row an action. An action is the name of a root field of the schema, or `Type.field` where a field
 * of another type asks for more than the field that led to it. The schema is not served with a root field that has no row.
 */
export const permissions = {
  viewer: 'principal',
  // An id says what it is of only once it is read: whoever resolves it asks for the row of that kind of thing.
  node: 'principal',
  model: { anyOf: ['INFER', 'MODELS_READ'] },
  models: { anyOf: ['INFER', 'MODELS_READ'] }, // whoever may call models may see which there are
  usage: { anyOf: ['USAGE_READ'] },
  quota: { anyOf: ['INFER', 'USAGE_READ'] }, // every receipt shows it as well
  apiKeys: { anyOf: ['KEYS_WRITE', 'USAGE_READ'] },
  'ApiKey.usage': { anyOf: ['USAGE_READ'] },
  invoicePreview: { anyOf: ['BILLING'] },

  classify: { anyOf: ['INFER'] },
  detect: { anyOf: ['INFER'] },
  segment: { anyOf: ['INFER'] },
  createUpload: { anyOf: ['INFER'] },
  createApiKey: { anyOf: ['KEYS_WRITE'] },
  rotateApiKey: { anyOf: ['KEYS_WRITE'] },
  revokeApiKey: { anyOf: ['KEYS_WRITE'] },
  createClientToken: 'principal', // whatever its scopes, a key may hand on less than it has; who is no key is refused there
  signIn: 'public',
  refresh: 'public', // the refresh token in its argument is the credential
  signOut: 'principal',
} as const satisfies Record<string, Rule>;

export type Action = keyof typeof permissions;
type PublicAction = { [A in Action]: (typeof permissions)[A] extends 'public' ? A : never }[Action];
export type ProtectedAction = Exclude<Action, PublicAction>;

/**
 * What no client token may do, whatever its scopes: it acts in a page or a device that anybody may hold, and these are about keys,
 * members and bills.
 */
const beyondClientTokens: ReadonlySet<Action> = new Set<Action>([
  'apiKeys',
  'ApiKey.usage',
  'invoicePreview',
  'createApiKey',
  'rotateApiKey',
  'revokeApiKey',
  'createClientToken',
  'signOut',
]);

/**
 * Answers the principal when it may do `action`; null only where the action is public and nobody is known.
 * Throws UnauthenticatedError where a principal is needed, ForbiddenError where its scopes or its kind do not do.
 */
export function authorize(principal: Principal | null, action: ProtectedAction): Principal;
export function authorize(principal: Principal | null, action: Action): Principal | null;
export function authorize(principal: Principal | null, action: Action): Principal | null {
  const rule: Rule = permissions[action];
  if (rule === 'public') return principal;
  if (principal === null) {
    throw new UnauthenticatedError(
      'This needs a credential: send `Authorization: Bearer <API key or access token>`.',
    );
  }
  if (principal.restriction !== null && beyondClientTokens.has(action)) {
    throw new ForbiddenError(
      `${action} is not for client tokens, whatever their scopes: use the API key itself, on your server.`,
    );
  }
  if (rule !== 'principal' && !rule.anyOf.some((scope) => principal.scopes.has(scope))) {
    throw new ForbiddenError(
      `${action} needs the scope ${rule.anyOf.join(' or ')}, which this credential lacks.`,
    );
  }
  return principal;
}

/** Throws ForbiddenError where `principal` would hand out what it does not hold itself. */
export function requireScopes(principal: Principal, scopes: readonly Scope[]): void {
  const missing = scopes.filter((scope) => !principal.scopes.has(scope));
  if (missing.length > 0) {
    throw new ForbiddenError(
      `This credential cannot give out ${missing.join(', ')}: it does not hold ${missing.length > 1 ? 'them' : 'it'} itself.`,
    );
  }
}

const scopesByRole: Record<Role, readonly Scope[]> = {
  OWNER: SCOPES,
  ADMIN: SCOPES.filter((scope) => scope !== 'BILLING'),
  DEVELOPER: ['INFER', 'MODELS_READ', 'MODELS_WRITE', 'USAGE_READ', 'KEYS_WRITE', 'TRAINING'],
  BILLING: ['USAGE_READ', 'BILLING'],
};

/** What a member may do, and hand on to keys. */
export function scopesOfRole(role: Role, isOperatorTenant: boolean): readonly Scope[] {
  return grantable(scopesByRole[role], isOperatorTenant);
}

/** What of `scopes` members and keys of a tenant can hold: ADMIN reaches beyond a tenant, so only the operator's hold it. */
export function grantable(scopes: readonly Scope[], isOperatorTenant: boolean): readonly Scope[] {
  return isOperatorTenant ? scopes : scopes.filter((scope) => scope !== 'ADMIN');
}
