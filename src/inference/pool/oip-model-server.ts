import type { Logger } from '../../lib/logger.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import { OipClient } from '../oip/client.ts';
import { OipError, WorkerFaultError } from '../oip/errors.ts';
import type { RemoteTarget } from '../oip/http.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import type { ModelServer, OpenVariant } from './model-server.ts';
import type { Patience } from './patience.ts';
import { pushArtifact } from './push-artifact.ts';
import { loadParameters } from './variant-loader.ts';
import type { BatchOutput } from './worker.ts';

/**
 * A `fovea worker`, which loads what it is asked for: a model's name there is the variant's key. What its artefact store lacks
 * is brought to it, by its hash.
 */
export class OipModelServer implements ModelServer {
  readonly #client: OipClient;
  readonly #artifacts: ArtifactStore;
  readonly #logger: Logger;

  constructor(target: RemoteTarget, artifacts: ArtifactStore, logger: Logger) {
    this.#client = new OipClient(target);
    this.#artifacts = artifacts;
    this.#logger = logger;
  }

  requireReady(signal: AbortSignal): Promise<void> {
    return this.#client.requireReady(signal);
  }

  /** A variant's key names its artefact: a model of that name, whoever loaded it, is the one that is meant. */
  async open(variant: Variant, patience: Patience): Promise<OpenVariant> {
    const { signal } = patience;
    if (!(await this.#client.modelReady(variant.key, signal))) {
      const load = () => this.#client.load(variant.key, loadParameters(variant), signal);
      await load().catch(async (refusal: unknown) => {
        if (!isLack(refusal) || !(await this.#bring(variant, patience))) throw refusal;
        patience.renew();
        await load();
      });
    }
    return new OipVariant(this.#client, variant);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** Answers whether anything was lacking. */
  async #bring({ artifactSha256, externalData }: Variant, patience: Patience): Promise<boolean> {
    const { signal } = patience;
    if (!(await this.#client.extensions(signal)).includes('fovea_artifacts')) return false;
    let brought = false;
    for (const sha256 of [artifactSha256, ...externalData]) {
      // It reads and hashes what it has, to tell.
      patience.renew();
      if (await this.#client.hasArtifact(sha256, signal)) continue;
      await pushArtifact(this.#client, this.#artifacts, sha256, { patience, logger: this.#logger });
      brought = true;
    }
    return brought;
  }
}

/** Whether a worker says so of what its store has not. */
function isLack(error: unknown): boolean {
  return error instanceof OipError && !(error instanceof WorkerFaultError) && error.status === 404;
}

class OipVariant implements OpenVariant {
  readonly #client: OipClient;
  readonly #variant: Variant;

  constructor(client: OipClient, variant: Variant) {
    this.#client = client;
    this.#variant = variant;
  }

  async infer(pixels: Tensor, signal: AbortSignal): Promise<BatchOutput> {
    const { key, output } = this.#variant;
    const wanted = outputTensors(output);
    const start = performance.now();
    const { outputs, parameters } = await this.#client.infer(key, [pixels], { outputs: wanted, signal });
    const { compute_ms: told, device } = parameters;
    const isTold = typeof told === 'number' && Number.isFinite(told) && told >= 0;
    return {
      outputs,
      computeMs: isTold ? told : performance.now() - start,
      device: typeof device === 'string' ? device.slice(0, 64) : 'remote',
    };
  }

  isHeld(signal: AbortSignal): Promise<boolean> {
    return this.#client.modelReady(this.#variant.key, signal);
  }
}
