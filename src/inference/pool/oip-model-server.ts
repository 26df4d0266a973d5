import { OipClient } from '../oip/client.ts';
import type { RemoteTarget } from '../oip/http.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import type { ModelServer, OpenVariant } from './model-server.ts';
import type { Patience } from './patience.ts';
import { loadParameters } from './variant-loader.ts';
import type { BatchOutput } from './worker.ts';

/** A `fovea worker`, which loads what it is asked for: a model's name there is the variant's key. */
export class OipModelServer implements ModelServer {
  readonly #client: OipClient;

  constructor(target: RemoteTarget) {
    this.#client = new OipClient(target);
  }

  requireReady(signal: AbortSignal): Promise<void> {
    return this.#client.requireReady(signal);
  }

  /** A variant's key names its artefact: a model of that name, whoever loaded it, is the one that is meant. */
  async open(variant: Variant, { signal }: Patience): Promise<OpenVariant> {
    if (!(await this.#client.modelReady(variant.key, signal)))
      await this.#client.load(variant.key, loadParameters(variant), signal);
    return new OipVariant(this.#client, variant);
  }

  close(): Promise<void> {
    return this.#client.close();
  }
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
    const { compute_ms: computeMs, device } = parameters;
    return {
      outputs,
      computeMs:
        typeof computeMs === 'number' && Number.isFinite(computeMs) && computeMs >= 0
          ? computeMs
          : performance.now() - start,
      device: typeof device === 'string' ? device.slice(0, 64) : 'remote',
    };
  }

  isHeld(signal: AbortSignal): Promise<boolean> {
    return this.#client.modelReady(this.#variant.key, signal);
  }
}
