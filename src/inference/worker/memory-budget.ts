import { totalmem } from 'node:os';
import { LRUCache } from 'lru-cache';
import { byteSize } from '../../lib/byte-size.ts';
import { NO_ROOM, OipError } from '../oip/errors.ts';
import type { Engine, EngineLoader, Engines } from './engine.ts';
import type { ModelSource } from './held-model.ts';

/** Requests may take this share of the budget, and no more than so much. */
const TRAFFIC = { share: 1 / 8, mostBytes: 512 * 2 ** 20 };

/** What there is on this machine, or in this container. */
export function machineBytes(): number {
  const limit = process.constrainedMemory(); // 0 or beyond any machine's where there is none
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** What each of the workers takes unless it is told: half of what there is, the rest is for everything else. */
export function defaultBudget(workers: number): number {
  return Math.floor(machineBytes() / 2 / workers);
}

/**
 * How a worker's memory is divided: the process itself with its engines, requests, and models with the rest. What a model
 * takes is measured; before it was ever loaded it is reckoned with as large as its files.
 */
export class MemoryBudget {
  /** Of resident memory of the whole process. */
  readonly bytes: number;
  /** What requests may take of it. */
  readonly trafficBytes: number;
  /** What the process takes without any model. */
  #processBytes = process.memoryUsage.rss();
  /** By what was loaded, as it was measured last. */
  readonly #measured = new LRUCache<string, number>({ max: 1_000 });

  constructor(bytes: number) {
    this.bytes = bytes;
    this.trafficBytes = Math.min(TRAFFIC.mostBytes, Math.floor(bytes * TRAFFIC.share));
  }

  /** What models may take in all. */
  get modelBytes(): number {
    return Math.max(0, this.bytes - this.trafficBytes - this.#processBytes);
  }

  /** `files`: bytes of the artefact and of what it points to. */
  expected(source: ModelSource, files: number): number {
    return this.#measured.get(identityOf(source)) ?? files;
  }

  /** Whether the process takes more than it may. */
  get isExceeded(): boolean {
    return process.memoryUsage.rss() > this.bytes;
  }

  /** Starts an engine, which brings what stays for good. Nothing else runs meanwhile. */
  async startEngine(start: EngineLoader): Promise<Engine> {
    const before = bytesBeyondHeap();
    const engine = await start();
    this.#processBytes += Math.max(0, bytesBeyondHeap() - before);
    return engine;
  }

  /** Opens a model and says what it takes, `files` bytes at least. Nothing else is opened, run or freed meanwhile. */
  async measure<T>(
    source: ModelSource,
    files: number,
    engines: Engines,
    open: () => Promise<T>,
  ): Promise<{ readonly opened: T; readonly bytes: number }> {
    const before = await nativeBytes(engines);
    const opened = await open();
    const bytes = Math.max(files, (await nativeBytes(engines)) - before);
    this.#measured.set(identityOf(source), bytes);
    return { opened, bytes };
  }

  /** Throws OipError 507 where a model of so many bytes finds no room even alone. */
  requirePossible(name: string, bytes: number): void {
    if (bytes <= this.modelBytes) return;
    const own = `${byteSize(this.bytes)} of which models may have ${byteSize(this.modelBytes)}`;
    throw new OipError(
      NO_ROOM,
      `model '${name}' takes ${byteSize(bytes)}, and the worker's memory is ${own}: raise --memory, or FOVEA_WORKER_MEMORY`,
    );
  }
}

/**
 * What is resident and not JavaScript's: engines and their models. Without the heaps and the buffers of requests, which come and
 * go while a model is loaded, it need not be waited for a garbage collection.
 */
async function nativeBytes(engines: Engines): Promise<number> {
  const heapBytes = await engines.heapBytes();
  return bytesBeyondHeap() - heapBytes;
}

/** As `nativeBytes`, but the engines' own thread counts with all that it takes. */
function bytesBeyondHeap(): number {
  const { rss, heapTotal, external } = process.memoryUsage();
  return rss - heapTotal - external;
}

/** Whatever is part of what a model takes. */
function identityOf({ sha256, format, externalData, maxBatch }: ModelSource): string {
  return `${sha256} ${format} ${externalData.join()} ${maxBatch}`;
}
