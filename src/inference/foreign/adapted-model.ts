import type { Parameters } from '../oip/codec.ts';
import { OipError } from '../oip/errors.ts';
import type { OpenVariant } from '../pool/model-server.ts';
import { type ToldRun, toldRun } from '../pool/told-run.ts';
import type { BatchNotes, BatchOutput } from '../pool/worker.ts';
import type { Tensor } from '../tensor.ts';
import type { Variant } from '../variant.ts';
import { joinOutputs, takeOutputs } from './declared-answer.ts';
import type { DeclaredModel, DeclaredTensor } from './declared-model.ts';
import { feedInput, type InputFeed } from './input-feed.ts';
import type { TensorThreads } from './tensor-threads.ts';
import { matchOutputs, type OutputMatch } from './wanted-outputs.ts';

/** A model as a server that somebody else runs has it, in whatever protocol. */
export interface ForeignModel {
  /** What it goes by there, for messages. */
  readonly title: string;
  readonly declared: DeclaredModel;
  /** One request, as `OpenVariant.infer`; `outputs`: those wanted. What it tells beside them is in the answer's `parameters`. */
  infer(
    input: Tensor,
    outputs: readonly DeclaredTensor[],
    signal: AbortSignal,
    notes: BatchNotes,
  ): Promise<{ readonly outputs: readonly Tensor[]; readonly parameters?: Parameters }>;
  /** As `OpenVariant.isHeld`. */
  isHeld(signal: AbortSignal): Promise<boolean>;
}

/**
 * Feeds a variant's pixels to another server's model of it, and holds its answers against what it declared.
 *
 * @throws OipError 422 where the variant cannot be fed to it or read from it
 */
export function adapt(model: ForeignModel, variant: Variant, threads: TensorThreads): OpenVariant {
  try {
    return new AdaptedModel(
      model,
      feedInput(model.declared, variant),
      matchOutputs(model.declared, variant),
      threads,
    );
  } catch (error) {
    if (!(error instanceof OipError)) throw error;
    throw new OipError(error.status, `${model.title} is not the model that is served here: ${error.message}`);
  }
}

class AdaptedModel implements OpenVariant {
  readonly #model: ForeignModel;
  readonly #feed: InputFeed;
  readonly #outputs: readonly OutputMatch[];
  readonly #threads: TensorThreads;

  constructor(model: ForeignModel, feed: InputFeed, outputs: readonly OutputMatch[], threads: TensorThreads) {
    this.#model = model;
    this.#feed = feed;
    this.#outputs = outputs;
    this.#threads = threads;
  }

  /** One after the other where the model does not take as many pictures at once: it would queue them anyway. */
  async infer(pixels: Tensor, signal: AbortSignal, notes: BatchNotes = {}): Promise<BatchOutput> {
    const start = performance.now();
    const wanted = this.#outputs.map(({ declared }) => declared);
    const pictures = pixels.shape[0]!;
    const answers: Tensor[][] = [];
    const runs: ToldRun[] = [];
    for (let from = 0; from < pictures; from += this.#feed.most) {
      const count = Math.min(this.#feed.most, pictures - from);
      const input = await this.#inputOf(pixels, from, count, signal);
      const askedAt = performance.now();
      const { outputs, parameters = {} } = await this.#model.infer(input, wanted, signal, notes);
      const wholeMs = performance.now() - askedAt;
      runs.push(toldRun(parameters, { images: count, most: this.#most, wholeMs }));
      answers.push(takeOutputs(outputs, this.#outputs, count));
    }
    const wholeMs = performance.now() - start;
    return {
      outputs: joinOutputs(answers),
      queueMs: sumOf(runs, ({ queueMs }) => queueMs),
      computeMs: Math.min(
        wholeMs,
        sumOf(runs, ({ computeMs }) => computeMs ?? wholeMs),
      ),
      batchSize: Math.max(...runs.map(({ batchSize }) => batchSize)),
      device: runs[0]!.device,
    };
  }

  /** Images of a batch there, which may be of several requests. */
  get #most(): number {
    return this.#model.declared.maxBatch ?? this.#feed.most;
  }

  isHeld(signal: AbortSignal): Promise<boolean> {
    return this.#model.isHeld(signal);
  }

  async #inputOf(pixels: Tensor, from: number, count: number, signal: AbortSignal): Promise<Tensor> {
    const { tensor: name, datatype, shape, preparation } = this.#feed;
    const bytes = pixels.data.byteLength / pixels.shape[0]!;
    const data = pixels.data.subarray(from * bytes, (from + count) * bytes);
    return {
      ...{ name, datatype, shape: [count, ...shape] },
      data:
        preparation === null
          ? data
          : await this.#threads.prepare({ pixels: data, preparation, datatype }, signal),
    };
  }
}

function sumOf<Item>(items: readonly Item[], amount: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + amount(item), 0);
}
