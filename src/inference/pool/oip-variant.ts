import type { OipClient } from '../oip/client.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import type { OpenVariant } from './model-server.ts';
import { scheduleParameters } from './schedule.ts';
import type { BatchNotes, BatchOutput } from './worker.ts';

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

  async infer(
    pixels: Tensor,
    signal: AbortSignal,
    { trace = {}, schedule }: BatchNotes = {},
  ): Promise<BatchOutput> {
    const { key, output } = this.#variant;
    const wanted = outputTensors(output);
    const start = performance.now();
    const { outputs, parameters } = await this.#client.infer(key, [pixels], {
      ...{ outputs: wanted, signal, trace },
      ...(schedule && { parameters: scheduleParameters(schedule) }),
    });
    const wholeMs = performance.now() - start;
    const images = pixels.shape[0]!;
    const { compute_ms, queue_ms, batch_size, device } = parameters;
    // Costs are learned from them, and clients told: what cannot be is not believed.
    const computeMs = within(compute_ms, 0, wholeMs) ?? wholeMs;
    return {
      outputs,
      queueMs: within(queue_ms, 0, wholeMs - computeMs) ?? 0,
      computeMs,
      batchSize: Math.floor(within(batch_size, images, this.#variant.maxBatch) ?? images),
      device: typeof device === 'string' ? device.slice(0, 64) : 'remote',
    };
  }

  isHeld(signal: AbortSignal): Promise<boolean> {
    return this.#client.modelReady(this.#variant.key, signal);
  }
}

function within(told: unknown, least: number, most: number): number | null {
  return typeof told === 'number' && told >= least && told <= most ? told : null;
}
