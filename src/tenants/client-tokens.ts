import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../db/database.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { BadUserInputError } from '../lib/errors.ts';
import { KeyedMutex } from '../lib/keyed-mutex.ts';
import type { Logger } from '../lib/logger.ts';
import { type ClientTokenClaims, claimsOf, longestTtlSeconds, payloadOf } from './client-token-claims.ts';
import { type NewClientToken, requireMintable } from './new-client-token.ts';
import { SignedTokens } from './signed-tokens.ts';
import type { SigningKeys } from './signing-keys.ts';
import { TokenBudget } from './token-budget.ts';
import { type Principal, SCOPES } from './types.ts';

/** A token travels in a header: proxies and Node refuse requests whose headers are much longer than this. */
const longestToken = 7_000;
/** How long what an expired token has spent is kept: a request that began in its last second may still give units back. */
const keptAfterExpiryMs = 3_600_000;
/** Expired tokens that are cleared away with one that is minted. */
const mostCleared = 100;

export interface ClientTokensParts {
  readonly database: Database;
  readonly keys: SigningKeys;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/**
 * Short-lived tokens for browsers and devices. A token carries what it may do less than the API key that minted it, and dies
 * with that key. It is stored nowhere; what it has spent is, where that is bounded.
 */
export class ClientTokens {
  readonly #database: Database;
  readonly #tokens: SignedTokens<ClientTokenClaims>;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #mutex = new KeyedMutex();

  constructor({ database, keys, logger, clock = systemClock }: ClientTokensParts) {
    this.#database = database;
    const kind = { audience: 'fovea-client', longestSeconds: longestTtlSeconds, read: claimsOf };
    this.#tokens = new SignedTokens(kind, keys, clock);
    this.#logger = logger;
    this.#clock = clock;
  }

  /** The token ends with its key at the latest. Throws ForbiddenError and BadUserInputError, see `requireMintable`. */
  async mint(principal: Principal, wish: NewClientToken): Promise<{ token: string; expiresAt: Date }> {
    requireMintable(principal, wish);
    const { models, maxUnits, origins } = wish;
    const restriction = { tokenId: uuidv7(), models, maxUnits, origins };
    const scopes = SCOPES.filter((scope) => wish.scopes.includes(scope));
    const { shortId, expiresAt } = await this.#keyOf(principal);
    const end = this.#clock.now() + wish.ttlSeconds * 1000;
    const minted = await this.#tokens.sign(
      payloadOf({ keyShortId: shortId, scopes, restriction }),
      Math.min(end, expiresAt?.getTime() ?? end),
    );
    if (minted.token.length > longestToken) {
      throw new BadUserInputError(
        `The token would have ${minted.token.length} characters, above the ${longestToken} that fit into a header: name fewer models or origins.`,
      );
    }
    if (maxUnits !== null) await this.#open(principal, restriction.tokenId, maxUnits, minted.expiresAt);
    return minted;
  }

  /** null: the token is none of ours, or has expired. Whether its key stands is for the caller to see. */
  verify(token: string): Promise<ClientTokenClaims | null> {
    return this.#tokens.verify(token);
  }

  /** What `principal` may still spend beside its tenant's quota; null: there is no such bound. */
  budget({ tenant, restriction }: Principal): TokenBudget | null {
    if (restriction === null || restriction.maxUnits === null) return null;
    return new TokenBudget(this.#database, this.#logger, this.#mutex, tenant.id, restriction.tokenId);
  }

  #keyOf({ tenant, apiKeyId }: Principal) {
    return this.#database.asTenant(tenant.id, (tx) =>
      tx.apiKey.findUniqueOrThrow({
        where: { id: apiKeyId! },
        select: { shortId: true, expiresAt: true },
      }),
    );
  }

  /** Clears some of the tenant's expired tokens away as well: more than come, so that few are left. */
  async #open({ tenant, apiKeyId }: Principal, id: string, maxUnits: number, expiresAt: Date): Promise<void> {
    const ended = new Date(this.#clock.now() - keptAfterExpiryMs);
    await this.#database.asTenant(tenant.id, async (tx) => {
      await tx.$executeRaw`
        DELETE FROM client_token WHERE id IN (
          SELECT id FROM client_token WHERE expires_at < ${ended} LIMIT ${mostCleared} FOR UPDATE SKIP LOCKED)`;
      await tx.clientToken.create({
        data: { id, tenantId: tenant.id, apiKeyId: apiKeyId!, maxUnits, expiresAt },
      });
    });
  }
}
