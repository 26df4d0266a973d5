import type { Random } from '../../models/shapes/generator/random.ts';
import type { ClassifyData, GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';

type Receipt = ClassifyData['classify']['receipt'];

/** What became of a request, as its client knows it. */
export type Fate =
  | { readonly kind: 'answered'; readonly receipt: Receipt; readonly errors: number }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'hung up' };

export interface Request {
  readonly input: {
    readonly model: string;
    readonly images: readonly { base64: string }[];
    readonly timeoutMs?: number;
    readonly idempotencyKey?: string;
  };
  /** Of its pictures, how many can be read. */
  readonly good: number;
  /** null: it waits for its answer. */
  readonly hangUpAfterMs: number | null;
  readonly sentAt: number;
  readonly fate: Fate;
}

const pictures = ['red-circle', 'blue-star', 'green-triangle', 'orange-square'].map(examplePicture);
const corrupt = ['', 'aGVsbG8=', pictures[0]!.slice(0, 800)];

/** Sends what customers send at their worst, chosen by `random`, and keeps what became of it. */
export class ChaoticClient {
  readonly requests: Request[] = [];
  readonly #client: GraphqlClient;
  readonly #random: Random;
  readonly #name: string;

  constructor(client: GraphqlClient, name: string, random: Random) {
    this.#client = client;
    this.#random = random;
    this.#name = name;
  }

  /** One request, or several with the same idempotency key, one after the other or at once. Answers how many. */
  async act(): Promise<number> {
    const random = this.#random;
    const keyed = random.chance(0.3);
    const { input, good } = this.#choose(keyed);
    const again = () => this.#send(input, good, random.chance(0.12) ? random.between(0, 120) : null);
    if (!keyed) {
      await again();
      return 1;
    }
    const times = 1 + random.below(3);
    if (random.chance(0.5)) await Promise.all(Array.from({ length: times }, again));
    else for (let sent = 0; sent < times; sent++) await again();
    return times;
  }

  #choose(keyed: boolean): Pick<Request, 'input' | 'good'> {
    const random = this.#random;
    const isGood = Array.from({ length: random.chance(0.6) ? 1 : 2 + random.below(4) }, () =>
      random.chance(0.85),
    );
    const oneOf = (from: readonly string[]) => ({ base64: from[random.below(from.length)]! });
    return {
      good: isGood.filter(Boolean).length,
      input: {
        model: random.chance(0.05) ? 'no-such-model' : random.chance(0.3) ? 'shapes@1' : 'shapes',
        images: isGood.map((good) => oneOf(good ? pictures : corrupt)),
        ...(random.chance(0.07) && { timeoutMs: 1 }),
        ...(keyed && { idempotencyKey: `${this.#name} ${this.requests.length}` }),
      },
    };
  }

  async #send(input: Request['input'], good: number, hangUpAfterMs: number | null): Promise<void> {
    const sentAt = Date.now();
    const fate = await this.#fateOf(input, hangUpAfterMs);
    this.requests.push({ input, good, hangUpAfterMs, sentAt, fate });
  }

  async #fateOf(input: Request['input'], hangUpAfterMs: number | null): Promise<Fate> {
    const controller = new AbortController();
    const timer = hangUpAfterMs === null ? null : setTimeout(() => controller.abort(), hangUpAfterMs);
    try {
      const { data, errors } = await this.#client.classify({ ...input }, { signal: controller.signal });
      if (data === null) return { kind: 'refused', code: String(errors[0]?.extensions.code) };
      const { receipt, results } = data.classify;
      return { kind: 'answered', receipt, errors: results.filter((result) => 'code' in result).length };
    } catch (error) {
      if (controller.signal.aborted) return { kind: 'hung up' };
      throw error;
    } finally {
      if (timer) clearTimeout(timer);
    }
  }
}
