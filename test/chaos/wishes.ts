import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { expect } from 'vitest';
import { type Random, randomFrom } from '../../models/shapes/generator/random.ts';
import { checkLedger } from '../../src/metering/check.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';

const asks = {
  classify: async (client: GraphqlClient, input: Record<string, unknown>) => {
    const { data, errors } = await client.classify(input);
    return { receipt: data?.classify.receipt, errors };
  },
  detect: async (client: GraphqlClient, input: Record<string, unknown>) => {
    const { data, errors } = await client.detect({ model: 'shapes-detect', ...input });
    return { receipt: data?.detect.receipt, errors };
  },
  segment: async (client: GraphqlClient, input: Record<string, unknown>) => {
    const { data, errors } = await client.segment({ model: 'shapes-segment', ...input });
    return { receipt: data?.segment.receipt, errors };
  },
};

/** What a client wants to know, over all the times that it asks for it. */
export interface Wish {
  readonly operation: keyof typeof asks;
  /** null: whenever it asks again, that is another request. */
  readonly key: string | null;
  readonly images: readonly { readonly base64: string }[];
  /** What it was answered in the end. */
  answer: { readonly requestId: string; readonly units: number } | null;
  /** How often it asked without learning what became of it. */
  lost: number;
}

const pictures = ['red-circle', 'blue-star', 'green-triangle', 'orange-square'].map((name) => ({
  base64: examplePicture(name),
}));

/** What became of one attempt. `lost`: nobody knows. `unsent`: nobody listened. */
type Fate = 'answered' | 'refused' | 'lost' | 'unsent';

/** By how many images they have, requests with a key can be told from those without in the ledger. */
const IMAGES = { keyed: [4, 5], unkeyed: [1, 2, 3] };

/** Clients that ask whichever server there is, and ask again where they were not answered, until `stop`. */
export class WishfulClients {
  readonly wishes: Wish[] = [];
  /** Codes that requests were refused with. */
  readonly refusals = new Set<unknown>();
  #answered = 0;
  readonly #clients: readonly GraphqlClient[];
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #loops: Promise<void>[];
  #isOver = false;

  /** `name`: of their keys. */
  constructor(
    { urls, key }: { readonly urls: readonly string[]; readonly key: string },
    { name, count, timeoutMs }: { readonly name: string; readonly count: number; readonly timeoutMs: number },
  ) {
    this.#clients = urls.map((url) => new GraphqlClient(url, key));
    this.#name = name;
    this.#timeoutMs = timeoutMs;
    this.#loops = Array.from({ length: count }, (_, n) => this.#ask(randomFrom(n)));
    this.#loops.push(this.#askAgain(randomFrom(count)));
  }

  /** Wishes that were answered so far. */
  get answered(): number {
    return this.#answered;
  }

  get unanswered(): Wish[] {
    return this.wishes.filter(({ answer }) => answer === null);
  }

  /** Resolves when everybody has heard what became of what is under way. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  /** Asks for all that has no answer yet until it has: somebody has to serve. */
  async askForTheRest(): Promise<void> {
    const random = randomFrom(0);
    while (this.unanswered.length > 0)
      await Promise.all(this.unanswered.slice(0, 16).map((wish) => this.#try(wish, random)));
  }

  async #ask(random: Random): Promise<void> {
    while (!this.#isOver) {
      const keyed = random.chance(0.5);
      const [least = 1, ...others] = keyed ? IMAGES.keyed : IMAGES.unkeyed;
      const wish: Wish = {
        // Mostly the cheapest: the others are for the ways that it does not go.
        operation: random.chance(0.9) ? 'classify' : random.chance(0.5) ? 'detect' : 'segment',
        key: keyed ? `${this.#name} ${this.wishes.length}` : null,
        images: Array.from(
          { length: least + random.below(others.length + 1) },
          () => pictures[random.below(pictures.length)]!,
        ),
        answer: null,
        lost: 0,
      };
      this.wishes.push(wish);
      let fate: Fate;
      do fate = await this.#try(wish, random);
      while (!this.#isOver && (fate === 'unsent' || (wish.key === null && fate !== 'answered')));
    }
  }

  /** What has a key is asked again now and then, beside others: a hold may have to expire first. */
  async #askAgain(random: Random): Promise<void> {
    while (!this.#isOver) {
      await delay(200);
      const keyed = this.unanswered.filter(({ key }) => key !== null);
      const wish = keyed[random.below(Math.max(1, keyed.length))];
      if (wish) await this.#try(wish, random);
    }
  }

  async #try(wish: Wish, random: Random): Promise<Fate> {
    const fate = await this.#fateOf(wish, this.#clients[random.below(this.#clients.length)]!);
    if (fate === 'lost') wish.lost += 1;
    if (fate !== 'answered') await delay(20);
    return fate;
  }

  async #fateOf(wish: Wish, client: GraphqlClient): Promise<Fate> {
    const key = wish.key === null ? {} : { idempotencyKey: wish.key };
    try {
      const { receipt, errors } = await asks[wish.operation](client, {
        images: wish.images,
        timeoutMs: this.#timeoutMs,
        ...key,
      });
      if (receipt) {
        wish.answer = receipt;
        this.#answered += 1;
        return 'answered';
      }
      for (const { extensions } of errors) this.refusals.add(extensions.code);
      // Whether that was booked whose commit was not answered is open, as the message says.
      const isOpen = errors.some(({ message }) => message.startsWith('The database does not answer'));
      return isOpen ? 'lost' : 'refused';
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      return cause?.code === 'ECONNREFUSED' ? 'unsent' : 'lost';
    }
  }
}

/** What was booked of a request, or should have been. */
export interface Booked {
  readonly operation: string;
  readonly images: number;
}

/** By request. */
export async function bookedRequests(database: pg.Pool): Promise<Map<string, Booked>> {
  const { rows } = await database.query<Booked & { id: string }>(
    'SELECT request_id AS id, operation, images FROM usage_event',
  );
  return new Map(rows.map(({ id, operation, images }) => [id, { operation, images }]));
}

/**
 * Expects of clients who all have their answers: each is booked, once; beside what was booked `before`, nothing else is that has a
 * key, and of what has none no more than got lost; and all sums agree. `database` sees every tenant's rows.
 */
export async function expectBookedOnce(
  database: pg.Pool,
  wishes: readonly Wish[],
  before: ReadonlyMap<string, Booked> = new Map(),
): Promise<void> {
  const booked = await bookedRequests(database);
  const answered = new Map(
    wishes.map(({ answer, operation, images }): [string, Booked] => [
      answer!.requestId,
      { operation: operation.toUpperCase(), images: images.length },
    ]),
  );
  expect(answered.size).toBe(wishes.length);
  for (const [id, wanted] of answered) expect(booked.get(id)).toEqual(wanted);

  const unheard = [...booked].filter(([id]) => !answered.has(id) && !before.has(id));
  for (const count of [...IMAGES.keyed, ...IMAGES.unkeyed]) {
    const lost = wishes
      .filter(({ key, images }) => key === null && images.length === count)
      .reduce((sum, wish) => sum + wish.lost, 0);
    expect(unheard.filter(([, { images }]) => images === count).length).toBeLessThanOrEqual(lost);
  }
  expect(await checkLedger(database)).toEqual([]);
}
