import { BadUserInputError, ForbiddenError } from '../lib/errors.ts';
import { clientTokenScopes, longestTtlSeconds } from './client-token-claims.ts';
import { originsFault } from './origin.ts';
import { requireScopes } from './permissions.ts';
import type { Principal, Scope } from './types.ts';

/** What a client token is asked for; null: no such bound. */
export interface NewClientToken {
  readonly scopes: readonly Scope[];
  /** 1 to 100, each `name` or `name@version`. */
  readonly models: readonly string[] | null;
  readonly maxUnits: number | null;
  /** 1 to 20. */
  readonly origins: readonly string[] | null;
  /** 1 to 3600. */
  readonly ttlSeconds: number;
}

const mostModels = 100;
const mostOrigins = 20;
const modelForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(@[1-9][0-9]{0,9})?$/;

/**
 * Throws ForbiddenError where `principal` may not mint what is asked for, BadUserInputError where nobody could.
 *
 * Models are not looked up: a token lets nobody ask for what is not there, and may well be minted before a version is rolled out.
 * Origins outside the tenant's list are refused where it has one, since no page of theirs could read an answer. Where it has
 * none, what browsers of other origins may read is not decided here: a page of Fovea's own origin needs no list, a device neither.
 */
export function requireMintable(principal: Principal, wish: NewClientToken): void {
  if (principal.apiKeyId === null || principal.restriction !== null) {
    throw new ForbiddenError(
      'Client tokens are minted by API keys alone: create a key (createApiKey), keep it on your server, and mint with it.',
    );
  }
  const fault = faultOf(wish);
  if (fault !== null) throw new BadUserInputError(fault);
  requireScopes(principal, wish.scopes);
  requireForClients(wish.scopes);
  const { allowedOrigins } = principal.tenant;
  const outside = (wish.origins ?? []).filter((origin) => !allowedOrigins.includes(origin));
  if (allowedOrigins.length > 0 && outside.length > 0) {
    throw new ForbiddenError(
      `Your tenant does not allow ${outside.join(', ')}: have the operator add it (fovea tenants set-origins), or leave it out.`,
    );
  }
}

function faultOf({ scopes, models, maxUnits, origins, ttlSeconds }: NewClientToken): string | null {
  if (scopes.length === 0) return `scopes is empty: name at least one of ${clientTokenScopes.join(', ')}.`;
  if (ttlSeconds < 1 || ttlSeconds > longestTtlSeconds)
    return `ttlSeconds is ${ttlSeconds}: it must be 1 to ${longestTtlSeconds}.`;
  if (maxUnits !== null && maxUnits < 1)
    return `maxUnits is ${maxUnits}: it must be at least 1; leave it out for no bound.`;
  return (
    modelsFault(models) ??
    (origins && (emptyFault('origins', origins) ?? originsFault('origins', origins, mostOrigins)))
  );
}

function modelsFault(models: readonly string[] | null): string | null {
  if (models === null) return null;
  if (models.length > mostModels)
    return `models names ${models.length} models: at most ${mostModels} are allowed.`;
  const wrong = models.find((model) => !modelForm.test(model));
  if (wrong !== undefined) return `models has ${JSON.stringify(wrong)}: write each as name or name@version.`;
  return emptyFault('models', models);
}

/** An empty list could be read as nothing or as everything. */
function emptyFault(name: string, list: readonly string[]): string | null {
  return list.length > 0 ? null : `${name} is empty: name at least one, or leave it out for no bound.`;
}

function requireForClients(scopes: readonly Scope[]): void {
  const beyond = scopes.filter((scope) => !clientTokenScopes.includes(scope));
  if (beyond.length === 0) return;
  throw new ForbiddenError(
    `No client token can hold ${beyond.join(', ')}, only ${clientTokenScopes.join(', ')}: use the API key itself, on your server.`,
  );
}
