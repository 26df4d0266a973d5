import { OipError } from '../oip/errors.ts';
import type { Tensor } from '../tensor.ts';
import { checkRequest } from './check-inputs.ts';
import type { LoadedModel } from './engine.ts';
import { companyOf, isBatched } from './joined-tensors.ts';
import type { Run, Runner } from './run-together.ts';
import type { ModelStatistics } from './statistics.ts';
import type { Company } from './turns.ts';

export interface ModelSource {
  readonly sha256: string;
  /** Artefacts that the graph points to for its weights. */
  readonly externalData: readonly string[];
  readonly format: string;
  /** Images the graph must take at once. */
  readonly maxBatch: number;
  /** Whether each image of a batch must be answered bit for bit as it is alone, where a CPU computes. */
  readonly exactBatches: boolean;
}

/** Whether a model that was loaded from `held` is what `wanted` asks for: it may have been tried with larger batches. */
export function isSame(held: ModelSource, wanted: ModelSource): boolean {
  return (
    held.sha256 === wanted.sha256 &&
    held.format === wanted.format &&
    held.externalData.join() === wanted.externalData.join() &&
    held.maxBatch >= wanted.maxBatch &&
    held.exactBatches === wanted.exactBatches
  );
}

/** One that was loaded for somebody is not unloaded before it has run, for so long: else two that do not fit would never run. */
const FRESH_MS = 5_000;

/** A model in memory, and of what use it is. */
export class HeldModel implements Runner {
  readonly name: string;
  readonly source: ModelSource;
  readonly platform: string;
  readonly model: LoadedModel;
  /** What it takes of the memory. */
  readonly bytes: number;
  /** Since its name was loaded, whatever artefact that held. */
  readonly statistics: ModelStatistics;
  readonly #heldSince = performance.now();
  /** Images that requests are joined to, at most. */
  #joins: number;
  #usedAt = this.#heldSince;
  #hasRun = false;
  #inHand = 0;

  constructor(parts: Pick<HeldModel, 'name' | 'source' | 'platform' | 'model' | 'bytes' | 'statistics'>) {
    this.name = parts.name;
    this.source = parts.source;
    this.platform = parts.platform;
    this.model = parts.model;
    this.bytes = parts.bytes;
    this.statistics = parts.statistics;
    this.#joins = isBatched(parts.model) ? parts.source.maxBatch : 1;
  }

  /** When it last was of use, on the clock of `performance`. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** Nobody waits for a run of it. */
  get isIdle(): boolean {
    return this.#inHand === 0;
  }

  get isFresh(): boolean {
    return !this.#hasRun && performance.now() - this.#heldSince < FRESH_MS;
  }

  /** A run was asked for, until what is answered is called. */
  enter(): () => void {
    this.#inHand += 1;
    this.#usedAt = performance.now();
    return () => {
      this.#inHand -= 1;
    };
  }

  /** What a request may be run with. Throws OipError 400 where the model has no such inputs or outputs. */
  companyOf(inputs: readonly Tensor[], outputs: readonly string[] | null): Company {
    checkRequest(this.model, inputs, outputs);
    return companyOf(this.name, this.model.inputs, inputs, this.#joins);
  }

  ran(images: number, computeMs: number): void {
    this.statistics.ran(images, computeMs);
  }

  cannotJoin(): void {
    this.#joins = 1;
  }

  /** Runs once; `outputs` null: all. Throws OipError for what the request or the model is to blame for. */
  async run(inputs: readonly Tensor[], outputs: readonly string[] | null): Promise<Omit<Run, 'batchSize'>> {
    const wanted = checkRequest(this.model, inputs, outputs);
    const start = performance.now();
    try {
      const found = await this.model.run(inputs, wanted);
      return { outputs: found, computeMs: performance.now() - start, device: this.model.device };
    } catch (error) {
      throw new OipError(500, `model '${this.name}' failed: ${(error as Error).message}`, { cause: error });
    } finally {
      this.#hasRun = true;
      this.#usedAt = performance.now();
    }
  }
}
