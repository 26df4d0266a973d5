import { setTimeout as sleep } from 'node:timers/promises';
import { byteSize } from '../../lib/byte-size.ts';
import type { Logger } from '../../lib/logger.ts';
import { NO_ROOM, OipError } from '../oip/errors.ts';
import type { HeldModel } from './held-model.ts';
import type { MemoryBudget } from './memory-budget.ts';

/** What of a worker's memory is taken, bytes. */
export interface MemoryUse {
  readonly budgetBytes: number;
  readonly residentBytes: number;
  /** What models may take beside those that are there. */
  readonly freeBytes: number;
  /** The process takes more than its budget, and went on so though what was idle was unloaded: it leaks. */
  readonly isExceeded: boolean;
  readonly models: readonly { readonly name: string; readonly bytes: number }[];
}

/** Between two looks at whether a model that must not be unloaded yet may be. */
const WAIT_MS = 20;
/** Looks in a row that find too much taken before anything is done about it: requests come and go. */
const PATIENT_LOOKS = 3;
/** What was of use so lately is not unloaded because too much is taken: it would be back at once. */
const IN_USE_MS = 10_000;

/** The models in memory by name, and which of them go where there is no room. */
export class HeldModels {
  readonly #budget: MemoryBudget;
  readonly #free: (held: HeldModel, name: string, reason: string) => Promise<void>;
  readonly #logger: Logger;
  readonly #byName = new Map<string, HeldModel>();
  #unloads = 0;
  #looks = 0;
  #isExceeded = false;

  /** `free`: ends a model that is held no more. */
  constructor(
    budget: MemoryBudget,
    free: (held: HeldModel, name: string, reason: string) => Promise<void>,
    logger: Logger,
  ) {
    this.#budget = budget;
    this.#free = free;
    this.#logger = logger;
  }

  /** How many were unloaded for want of memory. */
  get unloads(): number {
    return this.#unloads;
  }

  get(name: string): HeldModel | undefined {
    return this.#byName.get(name);
  }

  [Symbol.iterator](): IterableIterator<[name: string, held: HeldModel]> {
    return this.#byName.entries();
  }

  /** Answers what the name held before, which its caller ends. */
  set(name: string, held: HeldModel): HeldModel | undefined {
    const former = this.#byName.get(name);
    this.#byName.set(name, held);
    return former;
  }

  async unload(name: string, reason: string): Promise<void> {
    const held = this.#byName.get(name);
    if (!held) return;
    this.#byName.delete(name);
    await this.#free(held, name, reason);
  }

  use(): MemoryUse {
    return {
      budgetBytes: this.#budget.bytes,
      residentBytes: process.memoryUsage.rss(),
      freeBytes: Math.max(0, this.#freeBytes),
      isExceeded: this.#isExceeded,
      models: Array.from(this.#byName, ([name, { bytes }]) => ({ name, bytes })),
    };
  }

  /**
   * Unloads until `bytes` are free, and answers the names: first what nobody waits for, of that first what was of use least
   * lately. What has just been loaded is waited for until it has run. Throws OipError 507 where nothing may be unloaded.
   */
  async makeRoom(name: string, bytes: number, onlyIfRoom: boolean): Promise<string[]> {
    const unloaded: string[] = [];
    for (;;) {
      const held = this.#byUse();
      const free = this.#freeBytes;
      if (bytes <= free || held.length === 0) return unloaded;
      if (onlyIfRoom) {
        const found = byteSize(Math.max(0, free));
        throw new OipError(
          NO_ROOM,
          `model '${name}' takes ${byteSize(bytes)}, and ${found} are free: nothing is unloaded for it`,
        );
      }
      const ripe = held.filter(([, model]) => !model.isFresh);
      const [victim] = [...ripe.filter(([, model]) => model.isIdle), ...ripe];
      if (victim) {
        await this.#unloadForRoom(victim[0], `unloaded to make room for '${name}'`);
        unloaded.push(victim[0]);
      } else await sleep(WAIT_MS);
    }
  }

  /**
   * To be called every now and then: where the process takes more than its budget time and again, what is idle is unloaded, and
   * where that does not help `use` says so.
   */
  async relieve(): Promise<void> {
    this.#looks = this.#budget.isExceeded ? this.#looks + 1 : 0;
    if (this.#looks === 0) this.#isExceeded = false;
    if (this.#looks < PATIENT_LOOKS) return;
    const lately = performance.now() - IN_USE_MS;
    const idle = this.#byUse().find(([, held]) => held.isIdle && !held.isFresh && held.usedAt < lately);
    if (idle) return this.#unloadForRoom(idle[0], 'unloaded since too much memory was taken');
    if (this.#isExceeded) return;
    this.#isExceeded = true;
    const { budgetBytes, residentBytes } = this.use();
    this.#logger.error(
      { budgetBytes, residentBytes },
      'the worker takes more memory than it may, with nothing left to unload: it leaks, or its budget is too small',
    );
  }

  /** Below 0 where the models turned out to take more than they may. */
  get #freeBytes(): number {
    const taken = [...this.#byName.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return this.#budget.modelBytes - taken;
  }

  /** Those that were of use least lately come first. */
  #byUse(): [name: string, held: HeldModel][] {
    return [...this.#byName].sort(([, one], [, other]) => one.usedAt - other.usedAt);
  }

  async #unloadForRoom(name: string, reason: string): Promise<void> {
    this.#logger.info({ model: name, reason }, 'model unloaded');
    this.#unloads += 1;
    await this.unload(name, reason);
  }
}
