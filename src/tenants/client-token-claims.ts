import { isScope, type Restriction, type Scope } from './types.ts';

/** What a client token may do at all, whatever its key may: what it can do as well as anybody who found it in a page. */
export const clientTokenScopes: readonly Scope[] = ['INFER', 'MODELS_READ', 'USAGE_READ'];

/** A client token's longest life. */
export const longestTtlSeconds = 3_600;

/** What a client token says: which key stands behind it, looked up at each use, and what it may do less than that key. */
export interface ClientTokenClaims {
  readonly keyShortId: string;
  readonly scopes: readonly Scope[];
  readonly restriction: Restriction;
}

/** The claims as they stand in the token, whose holder can read them. */
export function payloadOf({ keyShortId, scopes, restriction }: ClientTokenClaims) {
  const { tokenId, models, maxUnits, origins } = restriction;
  return { sub: keyShortId, jti: tokenId, scopes, models, units: maxUnits, origins };
}

export function claimsOf(payload: Record<string, unknown>): ClientTokenClaims | null {
  const { sub, jti, scopes, models, units, origins } = payload;
  if (typeof sub !== 'string' || typeof jti !== 'string' || !isTexts(scopes)) return null;
  // A bound that cannot be read must not become none.
  if (!isTextsOrNull(models) || !isTextsOrNull(origins)) return null;
  if (units !== null && !Number.isSafeInteger(units)) return null;
  const restriction = { tokenId: jti, models, maxUnits: units as number | null, origins };
  return { keyShortId: sub, scopes: scopes.filter(isScope), restriction };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isTextsOrNull(value: unknown): value is string[] | null {
  return value === null || isTexts(value);
}
