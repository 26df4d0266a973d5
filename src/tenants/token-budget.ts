import type { Database, Transaction } from '../db/database.ts';
import { ForbiddenError } from '../lib/errors.ts';
import type { KeyedMutex } from '../lib/keyed-mutex.ts';
import type { Logger } from '../lib/logger.ts';

/**
 * What one client token may spend, exactly, over all processes: units are taken before the work and what was not billed is
 * given back after it. Whoever dies in between takes its units along: the token may then spend less than it could have, never
 * more, and it lives an hour at most.
 */
export class TokenBudget {
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #tenantId: string;
  readonly #tokenId: string;
  /** By token: those who wait for its row's lock would each keep a connection from everybody else. */
  readonly #mutex: KeyedMutex;

  constructor(database: Database, logger: Logger, mutex: KeyedMutex, tenantId: string, tokenId: string) {
    this.#database = database;
    this.#mutex = mutex;
    this.#logger = logger;
    this.#tenantId = tenantId;
    this.#tokenId = tokenId;
  }

  /** Throws ForbiddenError, and takes none, where fewer are left. */
  async take(units: number): Promise<void> {
    const left = await this.#inTurn(async (tx) => {
      // One statement tests and sets: of many at once, each finds what those before it have taken.
      const taken = await tx.$executeRaw`
        UPDATE client_token SET spent = spent + ${units}
         WHERE id = ${this.#tokenId}::uuid AND spent + ${units} <= max_units`;
      if (taken === 1) return null;
      const token = await tx.clientToken.findUnique({ where: { id: this.#tokenId } });
      return token === null ? 0n : token.maxUnits - token.spent;
    });
    if (left !== null) {
      throw new ForbiddenError(
        `This request costs ${units} units, and ${left} of this client token's maxUnits are left: get another token.`,
      );
    }
  }

  /** Never rejects: what cannot be given back is lost to the token, and logged. */
  async giveBack(units: number): Promise<void> {
    if (units === 0) return;
    await this.#inTurn(
      (tx) => tx.$executeRaw`
        UPDATE client_token SET spent = spent - ${units} WHERE id = ${this.#tokenId}::uuid AND spent >= ${units}`,
    ).catch((err: unknown) => {
      this.#logger.warn({ err, units }, 'units could not be given back to a client token');
    });
  }

  #inTurn<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#mutex.run(this.#tokenId, () => this.#database.asTenant(this.#tenantId, work));
  }
}
