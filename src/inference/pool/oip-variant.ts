import type { OipClient } from '../oip/client.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import type { OpenVariant } from './model-server.ts';
import type { BatchOutput } from './worker.ts';

/** A variant that a `fovea worker` has loaded, by its key. */
export class OipVariant implements OpenVariant {
  readonly unloaded: readonly string[];
  readonly #client: OipClient;
  readonly #variant: Variant;

  constructor(client: OipClient, variant: Variant, unloaded: readonly string[] = []) {
    this.unloaded = unloaded;
    this.#client = client;
    this.#variant = variant;
  }

  async infer(pixels: Tensor, signal: AbortSignal): Promise<BatchOutput> {
    const { key, output } = this.#variant;
    const wanted = outputTensors(output);
    const start = performance.now();
    const { outputs, parameters } = await this.#client.infer(key, [pixels], { outputs: wanted, signal });
    const wholeMs = performance.now() - start;
    const { compute_ms: told, device } = parameters;
    // Costs are learned from it: a time that cannot be is not believed.
    const isCredible = typeof told === 'number' && told >= 0 && told <= wholeMs;
    return {
      outputs,
      computeMs: isCredible ? told : wholeMs,
      device: typeof device === 'string' ? device.slice(0, 64) : 'remote',
    };
  }

  isHeld(signal: AbortSignal): Promise<boolean> {
    return this.#client.modelReady(this.#variant.key, signal);
  }
}
