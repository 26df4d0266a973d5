import { OipClient } from '../../oip/client.ts';
import { OipError } from '../../oip/errors.ts';
import type { RemoteTarget } from '../../oip/http.ts';
import type { Tensor } from '../../tensor.ts';
import type { Inference } from '../models.ts';
import { type Run, type RunRequest, runTogether } from '../run-together.ts';
import type { ServedModels } from '../served-models.ts';
import type { ModelStatistics } from '../statistics.ts';
import { Turns, type Wish } from '../turns.ts';
import { asAnswer, UpstreamModel } from './upstream-model.ts';

export interface UpstreamOptions extends RemoteTarget {
  /** Images that are run together where the upstream does not say how many it takes. */
  readonly maxBatch: number;
  /** Batches that it is given at a time. */
  readonly concurrency: number;
}

interface Asked extends RunRequest {
  readonly model: UpstreamModel;
  /** Its turn has come. */
  begin(): void;
}

/** What the upstream is asked beside running something is answered in so long. */
const ASK_MS = 30_000;

/** The models of a server that somebody else runs, behind this worker's scheduler. Which there are is the upstream's to say. */
export class UpstreamModels implements ServedModels {
  readonly #client: OipClient;
  readonly #options: UpstreamOptions;
  readonly #models = new Map<string, UpstreamModel>();
  readonly #turns: Turns<Asked, Run>;

  constructor(options: UpstreamOptions) {
    this.#client = new OipClient(options);
    this.#options = options;
    this.#turns = new Turns((requests) => {
      for (const { begin } of requests) begin();
      return runTogether(requests[0]!.model, requests);
    }, options.concurrency);
  }

  get backlogMs(): number {
    return this.#turns.backlogMs;
  }

  async requireReady(): Promise<void> {
    await this.#client.requireReady(AbortSignal.timeout(ASK_MS)).catch((error: Error) => {
      throw new OipError(503, `the server behind this worker is not ready: ${error.message}`, {
        cause: error,
      });
    });
  }

  async keyOf(name: string, version: string | undefined): Promise<string> {
    const key = version === undefined ? name : `${name}/versions/${version}`;
    if (this.#models.has(key)) return key;
    if (version !== undefined && !/^\d{1,15}$/.test(version))
      throw new OipError(404, `version '${version.slice(0, 80)}': expected a number`);
    const reference = version === undefined ? name : { name, version: Number(version) };
    const { maxBatch } = this.#options;
    const signal = AbortSignal.timeout(ASK_MS);
    const model = await UpstreamModel.open(this.#client, { key, reference, maxBatch, signal }).catch(
      asAnswer,
    );
    this.#models.set(key, this.#models.get(key) ?? model);
    return key;
  }

  /** What it lost, or has anew, is asked for again. */
  async isReady(key: string): Promise<boolean> {
    const isReady = await this.#of(key).isReady(AbortSignal.timeout(ASK_MS)).catch(asAnswer);
    if (!isReady) this.#forget(key);
    return isReady;
  }

  metadata(key: string): object {
    return this.#of(key).metadata;
  }

  config(key: string): object {
    return { name: key, max_batch_size: this.#of(key).maxBatch };
  }

  statisticsOf(key: string): ModelStatistics {
    return this.#of(key).statistics;
  }

  *statistics(): Iterable<[key: string, statistics: ModelStatistics]> {
    for (const [key, { statistics }] of this.#models) yield [key, statistics];
  }

  async infer(
    key: string,
    inputs: readonly Tensor[],
    outputs: readonly string[] | null,
    wish: Wish,
  ): Promise<Inference> {
    const model = this.#of(key);
    const company = model.companyOf(inputs, outputs);
    const { images } = company;
    const wait = model.statistics.wait();
    try {
      const run = await this.#turns.enter({ model, inputs, outputs, images, begin: wait.end }, company, wish);
      return { ...run, images, queueMs: wait.ms };
    } catch (error) {
      if (error instanceof OipError && error.status === 404) this.#forget(key);
      throw error;
    } finally {
      wait.end();
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #of(key: string): UpstreamModel {
    const model = this.#models.get(key);
    if (!model) throw new OipError(404, `model '${key}' is not there`);
    return model;
  }

  #forget(key: string): void {
    this.#models.delete(key);
    this.#turns.forget(key);
  }
}
