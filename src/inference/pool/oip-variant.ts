import type { OipClient } from '../oip/client.ts';
import type { Tensor } from '../tensor.ts';
import { outputTensors, type Variant } from '../variant.ts';
import type { OpenVariant } from './model-server.ts';
import { scheduleParameters } from './schedule.ts';
import { toldRun } from './told-run.ts';
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
    const run = toldRun(parameters, { images: pixels.shape[0]!, most: this.#variant.maxBatch, wholeMs });
    return { ...run, outputs, computeMs: run.computeMs ?? wholeMs };
  }

  isHeld(signal: AbortSignal): Promise<boolean> {
    return this.#client.modelReady(this.#variant.key, signal);
  }
}
