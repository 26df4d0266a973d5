import type { Clock } from '../../lib/clock.ts';
import { DeadlineExceededError, OverloadedError } from '../../lib/errors.ts';
import { ImageError } from '../images/image-error.ts';
import type { ModelHealth } from '../model-health.ts';
import type { ChosenVariant } from '../model-selection.ts';
import { ModelLoadError, OipError, WorkerLostError } from '../oip/errors.ts';
import type { WorkerPool } from '../pool/pool.ts';
import type { InferenceWorker } from '../pool/worker.ts';
import type { Priority } from '../request.ts';
import { bytesPerElement, elementCount, type Tensor } from '../tensor.ts';
import { MAX_IMAGES } from '../validate.ts';
import type { Variant } from '../variant.ts';
import { ComputeEstimate } from './compute-estimate.ts';
import { Scheduler, type Work } from './scheduler.ts';

/** What the images of one request have in common. */
export interface Ticket {
  readonly tenant: string;
  readonly weight: number;
  readonly priority: Priority;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Aborted when nobody waits for the answer any more: what is queued leaves the queue, with the signal's reason. */
  readonly abandoned: AbortSignal;
  /** Set with the first batch that carries one of its images. */
  dispatched: boolean;
}

/** What a batch answered about one image. */
export interface ImageOutput {
  /** The image's slice of what the batch answered, shape without the batch axis. */
  readonly outputs: readonly Tensor[];
  readonly device: string;
  readonly batchSize: number;
  readonly queueMs: number;
  /** Of the whole batch. */
  readonly inferenceMs: number;
}

interface QueuedImage {
  readonly chosen: ChosenVariant;
  readonly ticket: Ticket;
  readonly pixels: Uint8Array;
  /** On the clock of `Clock.elapsed`. */
  readonly queuedAt: number;
  /** Batches it was in that died with their worker. */
  lost: number;
  /** It was in a batch that failed: it is run in none with others again. */
  alone: boolean;
  readonly resolve: (output: ImageOutput) => void;
  readonly reject: (error: Error) => void;
}

export interface DispatcherOptions {
  /** Images admitted and not yet answered, at most. */
  readonly maxAdmitted: number;
  /** Told why models fail. */
  readonly health: ModelHealth;
}

/** Carries images from the scheduler to the workers, a batch in flight for each, and their answers back. */
export class Dispatcher {
  readonly #scheduler = new Scheduler<QueuedImage>();
  readonly #estimate = new ComputeEstimate();
  readonly #health: ModelHealth;
  readonly #pool: WorkerPool;
  /** Batches that each worker has now. */
  readonly #batchesOf = new Map<InferenceWorker, number>();
  readonly #clock: Clock;
  readonly #maxAdmitted: number;
  readonly #admittedOf = new Map<string, number>();
  #admitted = 0;
  #running = 0;

  constructor(pool: WorkerPool, clock: Clock, options: DispatcherOptions) {
    this.#pool = pool;
    this.#clock = clock;
    this.#maxAdmitted = options.maxAdmitted;
    this.#health = options.health;
    pool.onReady(() => this.#dispatch());
  }

  get admitted(): number {
    return this.#admitted;
  }

  get queueDepth(): number {
    return this.#scheduler.depth;
  }

  /** Images in the batches that workers have now. */
  get running(): number {
    return this.#running;
  }

  /** Estimated compute time of one image of a variant in a batch of its own, milliseconds; null: never measured. */
  latencyMs(variantKey: string): number | null {
    return this.#estimate.batchMs(variantKey, 1);
  }

  /**
   * Takes places for `images` images of a tenant, before any of them is decoded. No tenant has more than half of all: what
   * comes slowly, such as pictures fetched from a slow host, would keep everybody else out.
   *
   * @returns gives the places back; called once
   * @throws OverloadedError with the time after which as many places should be free
   */
  admit(tenant: string, images: number): () => void {
    const own = this.#admittedOf.get(tenant) ?? 0;
    const ownLimit = Math.max(MAX_IMAGES, Math.floor(this.#maxAdmitted / 2));
    const excess = Math.max(this.#admitted + images - this.#maxAdmitted, own + images - ownLimit);
    if (excess > 0) {
      const full =
        own + images > ownLimit
          ? `You have ${own} images waiting or running, and ${ownLimit} are the most.`
          : 'The queue is full.';
      // How full it is for others is nobody's business.
      throw new OverloadedError(`${full} Try again later.`, { retryAfterMs: this.#estimate.drainMs(excess) });
    }
    this.#take(tenant, images);
    return () => this.#take(tenant, -images);
  }

  #take(tenant: string, places: number): void {
    this.#admitted += places;
    const own = (this.#admittedOf.get(tenant) ?? 0) + places;
    if (own === 0) this.#admittedOf.delete(tenant);
    else this.#admittedOf.set(tenant, own);
  }

  /**
   * Queues one decoded image.
   *
   * @param pixels `uint8 [height, width, 3]` of the variant's input size
   * @throws DeadlineExceededError, OverloadedError (two workers died under it), ImageError INFERENCE_FAILED, or the
   *   reason for which the ticket was abandoned
   */
  run(chosen: ChosenVariant, ticket: Ticket, pixels: Uint8Array): Promise<ImageOutput> {
    return new Promise<ImageOutput>((resolve, reject) => {
      ticket.abandoned.throwIfAborted();
      const queuedAt = this.#clock.elapsed();
      this.#enqueue({ chosen, ticket, pixels, queuedAt, lost: 0, alone: false, resolve, reject });
      this.#dispatch();
    });
  }

  #enqueue(image: QueuedImage): void {
    const work = this.#workFor(image);
    this.#scheduler.enqueue(work, this.#clock.now());
    image.ticket.abandoned.addEventListener(
      'abort',
      () => {
        this.#scheduler.remove(work);
        image.reject(image.ticket.abandoned.reason);
      },
      { once: true },
    );
  }

  #workFor(image: QueuedImage): Work<QueuedImage> {
    const { ticket } = image;
    const { variant } = image.chosen;
    return {
      variantKey: variant.key,
      maxBatch: image.alone ? 1 : variant.maxBatch,
      tenant: ticket.tenant,
      weight: ticket.weight,
      priority: ticket.priority,
      cost: this.#estimate.batchMs(variant.key, 1) ?? 1,
      deadline: ticket.deadline,
      payload: image,
    };
  }

  #dispatch(): void {
    for (let worker = this.#freeWorker(); worker; worker = this.#freeWorker()) {
      const { batch, expired } = this.#scheduler.next(this.#clock.now());
      for (const { payload } of expired) {
        payload.reject(new DeadlineExceededError('the deadline passed while the image waited for a worker'));
      }
      if (!batch) return;
      const images = batch.works.map(({ payload }) => payload);
      for (const image of images) image.ticket.dispatched = true;
      this.#send(worker, images);
    }
  }

  /** Of those that are ready, the one with the fewest batches, where it would take one more. */
  #freeWorker(): InferenceWorker | undefined {
    const [least] = this.#pool.workers
      .filter((worker) => worker.ready && this.#batches(worker) < worker.capacity)
      .sort((a, b) => this.#batches(a) - this.#batches(b));
    return least;
  }

  #batches(worker: InferenceWorker): number {
    return this.#batchesOf.get(worker) ?? 0;
  }

  #send(worker: InferenceWorker, images: readonly QueuedImage[]): void {
    this.#batchesOf.set(worker, this.#batches(worker) + 1);
    this.#running += images.length;
    void this.#runBatch(worker, images).finally(() => {
      const left = this.#batches(worker) - 1;
      if (left === 0) this.#batchesOf.delete(worker);
      else this.#batchesOf.set(worker, left);
      this.#running -= images.length;
      this.#dispatch();
    });
  }

  async #runBatch(worker: InferenceWorker, images: readonly QueuedImage[]): Promise<void> {
    const { variant } = images[0]!.chosen;
    const dispatchedAt = this.#clock.elapsed();
    try {
      const { outputs, computeMs, device } = await worker.infer(variant, batchTensor(variant, images));
      this.#estimate.learn(variant.key, images.length, computeMs);
      images.forEach((image, position) => {
        image.resolve({
          outputs: outputs.map((output) => sliceOfBatch(output, position, images.length)),
          device,
          batchSize: images.length,
          queueMs: dispatchedAt - image.queuedAt,
          inferenceMs: computeMs,
        });
      });
    } catch (error) {
      if (error instanceof WorkerLostError) this.#retryLost(images, error);
      else this.#failed(images, error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** An image whose worker died is run once more, alone; if that one dies too, the image may be the cause. */
  #retryLost(images: readonly QueuedImage[], error: WorkerLostError): void {
    for (const image of images) {
      this.#health.failed(image.chosen, error);
      image.lost += 1;
      if (image.lost === 1) this.#runAlone(image);
      else {
        const twice = 'The inference worker stopped twice while it ran this image. Try again later.';
        image.reject(new OverloadedError(twice, { retryAfterMs: 1_000 }));
      }
    }
  }

  /** One image can fail the batch that it is in: each is run alone then, so that none fails for another's sake. */
  #failed(images: readonly QueuedImage[], error: Error): void {
    if (images.length > 1 && !(error instanceof ModelLoadError)) {
      for (const image of images) this.#runAlone(image);
      return;
    }
    for (const image of images) {
      this.#health.failed(image.chosen, error);
      image.reject(failureOf(error));
    }
  }

  #runAlone(image: QueuedImage): void {
    image.alone = true;
    // Else whoever asked was told already, and the signal that would take it out of the queue does not fire again.
    if (!image.ticket.abandoned.aborted) this.#enqueue(image);
  }
}

function batchTensor(variant: Variant, images: readonly QueuedImage[]): Tensor {
  const { tensor, width, height } = variant.input;
  const size = width * height * 3;
  let data = images[0]!.pixels;
  if (images.length > 1) {
    data = new Uint8Array(size * images.length);
    images.forEach(({ pixels }, position) => {
      data.set(pixels, position * size);
    });
  }
  return { name: tensor, datatype: 'UINT8', shape: [images.length, height, width, 3], data };
}

function sliceOfBatch({ name, datatype, shape, data }: Tensor, position: number, batchSize: number): Tensor {
  if (shape[0] !== batchSize) {
    throw new ImageError(
      'INFERENCE_FAILED',
      `the model's output ${name} has shape [${shape.join(', ')}] for ${batchSize} images`,
    );
  }
  const rest = shape.slice(1);
  const bytes = elementCount(rest) * bytesPerElement[datatype];
  return { name, datatype, shape: rest, data: data.subarray(position * bytes, (position + 1) * bytes) };
}

/** What the client is told; the reason, which may name what is the operator's alone, is for the log. */
function failureOf(error: Error): Error {
  if (error instanceof ModelLoadError)
    return new ImageError(
      'INFERENCE_FAILED',
      'the model could not be loaded; the fault is not in this image',
    );
  if (error instanceof OipError)
    return new ImageError('INFERENCE_FAILED', 'the model could not be run on this image');
  return error;
}
