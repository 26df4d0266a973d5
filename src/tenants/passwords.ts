import { hash, type Options, verify } from '@node-rs/argon2';
import { OverloadedError } from '../lib/errors.ts';

/** argon2id with the memory (KiB), passes and lanes that OWASP's password storage cheat sheet recommends. */
const cost: Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
/** Nobody's hash, of the same cost: checking against it takes as long as checking against somebody's. */
const nobodysHash =
  '$argon2id$v=19$m=19456,t=2,p=1$mCAKbPgVX+neouJf4iDvOA$hUVDN1gEGG5m4DfsY8wOzkyPKMA5OOQ/3rITb1KvOus';

const shortest = 12;
const longest = 256;
/** A hash takes 19 MiB and a thread of the four that image decoding uses too. */
const atOnce = 2;
const waitingAtMost = 64;

/** What is wrong with a new password, or null. */
export function passwordFault(password: string): string | null {
  const length = [...password].length;
  if (length >= shortest && length <= longest) return null;
  return `A password has ${shortest} to ${longest} characters; this one has ${length}.`;
}

/** Hashes and checks passwords, a few at a time. Throws OverloadedError where too many wait. */
export class Passwords {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  hash(password: string): Promise<string> {
    return this.#inTurn(() => hash(normal(password), cost));
  }

  /** `stored` null: there is nobody to check against; it takes the same time. */
  async matches(password: string, stored: string | null): Promise<boolean> {
    // Without this bound, the work of one attempt would grow with what is sent.
    const text = password.length > 2 * longest ? '' : normal(password);
    const matches = await this.#inTurn(() => verify(stored ?? nobodysHash, text));
    return matches && stored !== null;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < atOnce) this.#running++;
    else await this.#turn(); // whoever leaves hands its place over
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= waitingAtMost) {
      throw new OverloadedError('Too many people are signing in at once: try again in a second.', {
        retryAfterMs: 1000,
      });
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/** Keyboards differ in how they compose an accented letter; the password is the same. */
function normal(password: string): string {
  return password.normalize('NFKC');
}
