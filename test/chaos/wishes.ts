import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { expect } from 'vitest';
import { type Random, randomFrom } from '../../models/shapes/generator/random.ts';
import type { ImageSource } from '../../src/inference/images/source.ts';
import { checkLedger } from '../../src/metering/check.ts';
import {
  type GraphqlAnswer,
  GraphqlClient,
  type ReceiptData,
  type SendOptions,
} from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';

interface Told {
  readonly results: readonly object[];
  readonly receipt: ReceiptData;
}

type Ask = (
  client: GraphqlClient,
  input: Record<string, unknown>,
  options: SendOptions,
) => Promise<{ told: Told | undefined; errors: GraphqlAnswer<unknown>['errors'] }>;

const asks = {
  classify: async (client, input, options) => {
    const { data, errors } = await client.classify(input, options);
    return { told: data?.classify, errors };
  },
  detect: async (client, input, options) => {
    const { data, errors } = await client.detect({ model: 'shapes-detect', ...input }, options);
    return { told: data?.detect, errors };
  },
  segment: async (client, input, options) => {
    const { data, errors } = await client.segment({ model: 'shapes-segment', ...input }, options);
    return { told: data?.segment, errors };
  },
} satisfies Record<string, Ask>;

/** A picture as requests name it. */
export interface Picture {
  readonly source: ImageSource;
  /** What it is answered with; null: it can be read. */
  readonly code: string | null;
}

export interface Answer {
  readonly requestId: string;
  /** Of each picture why it was not answered; null: it was. */
  readonly codes: readonly (string | null)[];
  /** That it was billed; null: it is an earlier answer again. */
  readonly units: number | null;
}

/** What a client wants to know, over all the times that it asks for it. */
export interface Wish {
  readonly operation: keyof typeof asks;
  /** null: whenever it asks again, that is another request. */
  readonly key: string | null;
  readonly pictures: readonly Picture[];
  /** What it was told in the end. */
  answer: Answer | null;
  /** How often it asked without learning what became of it. */
  lost: number;
}

export const readablePictures: readonly Picture[] = [
  'red-circle',
  'blue-star',
  'green-triangle',
  'orange-square',
].map((name) => ({
  source: { base64: examplePicture(name) },
  code: null,
}));

/** What became of one attempt. `lost`: nobody knows. `unsent`: nobody listened. */
type Fate = 'answered' | 'refused' | 'lost' | 'unsent';

export interface WishfulClientsOptions {
  /** Of their idempotency keys. */
  readonly name: string;
  /** Clients that ask at once. */
  readonly count: number;
  readonly timeoutMs: number;
  /** What they send. */
  readonly pictures?: readonly Picture[];
  /** Of the same tenant: a request in four is made with one of them. */
  readonly clientTokens?: readonly string[];
  /** Now and then they leave less time than an answer may take, or hang up on a request that has a key. */
  readonly areImpatient?: boolean;
}

/** By how many images they have, requests with a key can be told from those without in the ledger. */
const IMAGES = { keyed: [4, 5], unkeyed: [1, 2, 3] };

/** Clients that ask whichever server there is, and ask again where they were not answered, until `stop`. */
export class WishfulClients {
  readonly wishes: Wish[] = [];
  /** Codes that requests were refused with. */
  readonly refusals = new Set<unknown>();
  #answered = 0;
  readonly #unitsOf = new Map<string, number>();
  readonly #urls: readonly string[];
  readonly #key: string;
  readonly #options: WishfulClientsOptions;
  readonly #pictures: readonly Picture[];
  readonly #loops: Promise<void>[];
  #isOver = false;

  constructor(
    { urls, key }: { readonly urls: readonly string[]; readonly key: string },
    options: WishfulClientsOptions,
  ) {
    this.#urls = urls;
    this.#key = key;
    this.#options = options;
    this.#pictures = options.pictures ?? readablePictures;
    this.#loops = Array.from({ length: options.count }, (_, n) => this.#ask(randomFrom(n)));
    this.#loops.push(this.#askAgain(randomFrom(options.count)));
  }

  /** Wishes that were answered so far. */
  get answered(): number {
    return this.#answered;
  }

  /** Units that were billed for what this client token was answered. */
  unitsOf(clientToken: string): number {
    return this.#unitsOf.get(clientToken) ?? 0;
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
        key: keyed ? `${this.#options.name} ${this.wishes.length}` : null,
        pictures: Array.from({ length: least + random.below(others.length + 1) }, () =>
          oneOf(this.#pictures, random),
        ),
        answer: null,
        lost: 0,
      };
      this.wishes.push(wish);
      // With a key now and then twice at once: one of the two has to wait for the other's answer.
      const times = keyed && random.chance(0.2) ? 2 : 1;
      let fate: Fate | undefined;
      do [fate] = await Promise.all(Array.from({ length: times }, () => this.#try(wish, random)));
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
    const fate = await this.#fateOf(wish, random);
    if (fate === 'lost') wish.lost += 1;
    if (fate !== 'answered') await delay(20);
    return fate;
  }

  async #fateOf(wish: Wish, random: Random): Promise<Fate> {
    const { timeoutMs, clientTokens = [], areImpatient = false } = this.#options;
    const hasToken = clientTokens.length > 0 && random.chance(0.25);
    const credential = hasToken ? oneOf(clientTokens, random) : this.#key;
    const input = {
      images: wish.pictures.map(({ source }) => source),
      timeoutMs: areImpatient && random.chance(0.05) ? 1 + random.below(50) : timeoutMs,
      ...(wish.key !== null && { idempotencyKey: wish.key }),
    };
    // Without a key nobody could tell what was booked for it from what was booked of a refused request.
    const hangsUp = areImpatient && wish.key !== null && random.chance(0.1);
    try {
      const { told, errors } = await asks[wish.operation](
        new GraphqlClient(oneOf(this.#urls, random), credential),
        input,
        hangsUp ? { signal: AbortSignal.timeout(random.below(100)) } : {},
      );
      if (told) {
        wish.answer = answerOf(told);
        this.#answered += 1;
        if (hasToken) this.#unitsOf.set(credential, this.unitsOf(credential) + told.receipt.units);
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

function answerOf({ results, receipt: { requestId, replayed, units } }: Told): Answer {
  const codes = results.map((result) => ('code' in result ? String(result.code) : null));
  return { requestId, codes, units: replayed ? null : units };
}

function oneOf<T>(choices: readonly T[], random: Random): T {
  return choices[random.below(choices.length)]!;
}

/** What was booked of a request, or should have been. */
export interface Booked {
  readonly operation: string;
  /** That were answered. */
  readonly images: number;
  /** Images that were not. */
  readonly errors: number;
  readonly units: number;
}

/** By request. */
export async function bookedRequests(database: pg.Pool): Promise<Map<string, Booked>> {
  const { rows } = await database.query<Booked & { id: string }>(
    'SELECT request_id AS id, operation, images, errors, units::int FROM usage_event',
  );
  return new Map(rows.map(({ id, ...booked }) => [id, booked]));
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
  const answered = new Set(wishes.map(({ answer }) => answer!.requestId));
  expect(answered.size).toBe(wishes.length);
  for (const { answer, operation } of wishes) {
    const { requestId, codes, units } = answer!;
    const images = codes.filter((code) => code === null).length;
    const wanted = { operation: operation.toUpperCase(), images, errors: codes.length - images };
    expect(booked.get(requestId)).toMatchObject(units === null ? wanted : { ...wanted, units });
  }

  const unheard = [...booked].filter(([id]) => !answered.has(id) && !before.has(id));
  for (const count of [...IMAGES.keyed, ...IMAGES.unkeyed]) {
    const lost = wishes
      .filter(({ key, pictures }) => key === null && pictures.length === count)
      .reduce((sum, wish) => sum + wish.lost, 0);
    const ofThem = unheard.filter(([, { images, errors }]) => images + errors === count);
    expect(ofThem.length).toBeLessThanOrEqual(lost);
  }
  expect(await checkLedger(database)).toEqual([]);
}
