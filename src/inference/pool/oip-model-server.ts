import type { Logger } from '../../lib/logger.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import { openByName } from '../foreign/oip-model.ts';
import type { TensorThreads } from '../foreign/tensor-threads.ts';
import { OipClient } from '../oip/client.ts';
import { isNo, OipError, WorkerFaultError } from '../oip/errors.ts';
import type { RemoteTarget } from '../oip/http.ts';
import type { WorkerMemory } from '../oip/worker-memory.ts';
import { nameElsewhere, type Variant } from '../variant.ts';
import type { ModelServer, OpenVariant } from './model-server.ts';
import { OipVariant } from './oip-variant.ts';
import type { Patience } from './patience.ts';
import { pushArtifact } from './push-artifact.ts';
import { loadParameters } from './variant-loader.ts';

/** What a worker of the Open Inference Protocol may be brought, and what its answers are worked on with. */
export interface OipServerOptions {
  /** Where what a `fovea worker` lacks is taken from. */
  readonly artifacts: ArtifactStore;
  readonly threads: TensorThreads;
  readonly logger: Logger;
}

/**
 * A `fovea worker`, which loads what it is asked for: a model's name there is the variant's key, and what its artefact store
 * lacks is brought to it, by its hash. Or a server of others, which has the model under its public name or not at all.
 */
export class OipModelServer implements ModelServer {
  readonly #client: OipClient;
  readonly #options: OipServerOptions;
  /** null: not known yet. */
  #tellsMemory: boolean | null = null;

  constructor(target: RemoteTarget, options: OipServerOptions) {
    this.#client = new OipClient(target);
    this.#options = options;
  }

  requireReady(signal: AbortSignal): Promise<void> {
    return this.#client.requireReady(signal);
  }

  async open(variant: Variant, patience: Patience, onlyIfRoom: boolean): Promise<OpenVariant> {
    try {
      return await this.#openByKey(variant, patience, onlyIfRoom);
    } catch (refusal) {
      if (!isNo(refusal) || (await this.#isFovea(patience.signal))) throw refusal;
      return this.#openByName(variant, patience, refusal);
    }
  }

  async takesSchedules(signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#extensions(signal)).includes('fovea_scheduling');
    } catch (error) {
      // Nothing that is asked of others needs what they are: they may say of it what they will.
      if (error instanceof WorkerFaultError) return false;
      throw error;
    }
  }

  /** A server of others is not asked again. */
  async memory(signal: AbortSignal): Promise<WorkerMemory | null> {
    this.#tellsMemory ??= (await this.#extensions(signal)).includes('fovea_memory');
    return this.#tellsMemory ? this.#client.memory(signal) : null;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** A variant's key names its artefact: a model of that name, whoever loaded it, is the one that is meant. */
  async #openByKey(variant: Variant, patience: Patience, onlyIfRoom: boolean): Promise<OpenVariant> {
    const { signal } = patience;
    if (await this.#client.modelReady(variant.key, signal)) return new OipVariant(this.#client, variant);
    const load = () => this.#client.load(variant.key, loadParameters(variant, onlyIfRoom), signal);
    const unloaded = await load().catch(async (refusal: unknown) => {
      if (!isLack(refusal) || !(await this.#bring(variant, patience))) throw refusal;
      patience.renew();
      return load();
    });
    return new OipVariant(this.#client, variant, unloaded);
  }

  async #openByName(variant: Variant, { signal }: Patience, refusal: OipError): Promise<OpenVariant> {
    const { threads } = this.#options;
    try {
      return await openByName(this.#client, variant, { signal, threads });
    } catch (error) {
      // What is there and does not fit tells more than why nothing else can be brought there.
      if (!isNo(error) || error.status === 422) throw error;
      const { name, version } = nameElsewhere(variant);
      throw new OipError(
        refusal.status,
        `'${name}' version ${version} is not there (${error.message}), and it cannot be loaded: ${refusal.message}`,
      );
    }
  }

  /** Whether it is a worker of ours, which takes artefacts and knows models by their keys alone. */
  async #isFovea(signal: AbortSignal): Promise<boolean> {
    return (await this.#extensions(signal)).includes('fovea_artifacts');
  }

  async #extensions(signal: AbortSignal): Promise<readonly string[]> {
    try {
      return await this.#client.extensions(signal);
    } catch (error) {
      if (isNo(error)) return [];
      throw error;
    }
  }

  /** Answers whether anything was lacking. */
  async #bring({ artifactSha256, externalData }: Variant, patience: Patience): Promise<boolean> {
    const { signal } = patience;
    const { artifacts, logger } = this.#options;
    if (!(await this.#isFovea(signal))) return false;
    let brought = false;
    for (const sha256 of [artifactSha256, ...externalData]) {
      // It reads and hashes what it has, to tell.
      patience.renew();
      if (await this.#client.hasArtifact(sha256, signal)) continue;
      await pushArtifact(this.#client, artifacts, sha256, { patience, logger });
      brought = true;
    }
    return brought;
  }
}

/** Whether a worker says so of what its store has not. */
function isLack(error: unknown): boolean {
  return isNo(error) && error.status === 404;
}
