import type { Clock } from '../../lib/clock.ts';
import { DeadlineExceededError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { ImageError } from '../images/image-error.ts';
import type { ModelHealth } from '../model-health.ts';
import type { ChosenVariant } from '../model-selection.ts';
import { ModelLoadError, WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import type { WorkerPool } from '../pool/pool.ts';
import type { Quarantine } from '../pool/quarantine.ts';
import type { BatchOutput, InferenceWorker } from '../pool/worker.ts';
import { Admission } from './admission.ts';
import { type ImageOutput, type QueuedImage, sliceOfBatch, type Ticket } from './batch.ts';
import { BatchBuffers } from './batch-buffers.ts';
import { chooseLane, hasRoomFor, isAwaited } from './choose-lane.ts';
import { ComputeEstimate } from './compute-estimate.ts';
import { afterFailure } from './failed-batch.ts';
import type { Lane } from './lane.ts';
import { Lanes } from './lanes.ts';
import { LearnedCosts } from './learned-costs.ts';
import { Replication } from './replication.ts';
import { Scheduler } from './scheduler.ts';
import type { Batch, Work } from './work.ts';
import type { Moment } from './worker-speed.ts';

export interface DispatcherOptions {
  /** Images admitted and not yet answered, at most. */
  readonly maxAdmitted: number;
  /** Told why models fail. */
  readonly health: ModelHealth;
  readonly logger: Logger;
}

/** Images that a worker is given together. */
interface Load {
  readonly images: readonly QueuedImage[];
  /** What the scheduler charged for them; null: they are run again, which nobody pays for. */
  readonly batch: Batch<QueuedImage> | null;
}

/** Between two looks at whether a worker is silent for too long. */
const WATCH_MS = 100;

/** Carries images from the scheduler to the workers, and their answers back. */
export class Dispatcher {
  readonly #pool: WorkerPool;
  readonly #clock: Clock;
  readonly #health: ModelHealth;
  readonly #logger: Logger;
  readonly #costs = new LearnedCosts();
  readonly #scheduler = new Scheduler<QueuedImage>(this.#costs);
  readonly #estimate = new ComputeEstimate();
  readonly #admission: Admission;
  readonly #lanes: Lanes;
  readonly #buffers = new BatchBuffers();
  readonly #replication: Replication;
  /** Those of them that have batches. */
  readonly #busy = new Set<Lane>();
  /** Batches that go before all that is queued: those that wait for a better worker than is free, and those to be run again. */
  #first: Load[] = [];
  #running = 0;
  #batches = 0;
  #watching: NodeJS.Timeout | null = null;

  constructor(pool: WorkerPool, clock: Clock, options: DispatcherOptions) {
    this.#pool = pool;
    this.#lanes = new Lanes(pool);
    this.#replication = new Replication((variantKey) => pool.demand.loadMs(variantKey));
    this.#clock = clock;
    this.#health = options.health;
    this.#logger = options.logger;
    this.#admission = new Admission(options.maxAdmitted, (images) => this.#estimate.drainMs(images));
    pool.onReady(() => this.#dispatch());
  }

  get admitted(): number {
    return this.#admission.admitted;
  }

  get queueDepth(): number {
    const waiting = this.#first
      .flatMap(({ images }) => images)
      .filter((image) => image.carriers.size === 0 && isWanted(image));
    return this.#scheduler.depth + waiting.length;
  }

  /** Images in the batches that workers have now. */
  get running(): number {
    return this.#running;
  }

  /** Whether work would be begun. */
  get ready(): boolean {
    return this.#lanes.present.some(({ isReady }) => isReady);
  }

  /** What a worker has and has answered, and whether it is silent for too long. */
  laneOf(worker: InferenceWorker): Pick<Lane, 'flights' | 'answers' | 'isSuspect'> {
    return this.#lanes.of(worker);
  }

  /** Estimated compute time of one image of a variant in a batch of its own, milliseconds; null: never measured. */
  latencyMs(variantKey: string): number | null {
    return this.#estimate.batchMs(variantKey, 1);
  }

  /** See `Admission.admit`. */
  admit(tenant: string, images: number): () => void {
    return this.#admission.admit(tenant, images);
  }

  /**
   * Queues one decoded image.
   *
   * @param pixels `uint8 [height, width, 3]` of the variant's input size
   * @throws DeadlineExceededError, OverloadedError (two workers died under it), ImageError INFERENCE_FAILED, or the
   *   reason for which the ticket was abandoned
   */
  run(chosen: ChosenVariant, ticket: Ticket, pixels: Uint8Array): Promise<ImageOutput> {
    this.#pool.demand.asked(chosen.variant);
    return this.#run(chosen, ticket, pixels, new Set());
  }

  #run(chosen: ChosenVariant, ticket: Ticket, pixels: Uint8Array, avoided: Set<Lane>): Promise<ImageOutput> {
    return new Promise<ImageOutput>((resolve, reject) => {
      ticket.abandoned.throwIfAborted();
      const refusal = refusalOf(chosen, this.#pool.quarantine);
      if (refusal) throw refusal;
      const image: QueuedImage = {
        ...{ chosen, ticket, pixels, queuedAt: this.#clock.elapsed(), carriers: new Set(), avoided },
        // One that is to go elsewhere than others goes alone.
        ...{ failedOn: null, lost: 0, alone: avoided.size > 0, settled: false, resolve, reject },
      };
      this.#enqueue(image);
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
      images: 1,
      maxBatch: image.alone ? 1 : variant.maxBatch,
      tenant: ticket.tenant,
      weight: ticket.weight,
      priority: ticket.priority,
      deadline: ticket.deadline,
      maxQueueDelayMs: 0,
      payload: image,
    };
  }

  get #now(): Moment {
    return { elapsed: this.#clock.elapsed(), batches: this.#batches };
  }

  #dispatch(): void {
    const lanes = this.#lanes.present;
    this.#first = this.#first.filter((load) => !this.#place(load, lanes));
    // While a batch waits for a better worker, the next of its variant would do no better. One that must not go where it failed
    // holds up nobody.
    while (lanes.some(({ isReady, isFull }) => isReady && !isFull)) {
      const heldUp = this.#first
        .filter(({ images: [image] }) => image!.avoided.size === 0)
        .map(({ images: [image] }) => image!.chosen.variant.key);
      const canRun = (key: string) => !heldUp.includes(key) && hasRoomFor(lanes, key);
      const { batch, expired } = this.#scheduler.next(this.#clock.now(), canRun);
      for (const { payload } of expired) settle(payload, tooLate());
      if (!batch) return;
      const load = { images: batch.works.map(({ payload }) => payload), batch };
      if (!this.#place(load, lanes)) this.#first.push(load);
    }
  }

  /** Sends a batch where it is best run, without those of its images that nobody waits for any more. False: it has to wait. */
  #place(load: Load, lanes: readonly Lane[]): boolean {
    const now = this.#clock.now();
    for (const image of load.images) if (image.ticket.deadline <= now) settle(image, tooLate());
    const images = load.images.filter(isWanted);
    if (images.length === 0) return true;
    const { chosen, avoided } = images[0]!;
    const { key: variantKey } = chosen.variant;
    const refusal = refusalOf(chosen, this.#pool.quarantine);
    if (refusal) {
      for (const image of images) settle(image, refusal);
      return true;
    }
    const wanted = { variantKey, images: images.length, avoided };
    const guessMs = this.#costs.batchMs(variantKey, images.length);
    const choice = chooseLane(lanes, wanted, { now: this.#now, queued: this.#scheduler.depth, guessMs });
    if (!choice) return false;
    void this.#carry(choice.lane, { images, batch: load.batch }, choice.expectedMs);
    return true;
  }

  async #carry(lane: Lane, { images, batch }: Load, expectedMs: number | null): Promise<void> {
    const { variant } = images[0]!.chosen;
    const sentAt = this.#clock.elapsed();
    const flight = lane.begin(images, variant.key, expectedMs, sentAt);
    this.#batches += 1;
    this.#running += images.length;
    this.#busy.add(lane);
    this.#watching ??= setInterval(() => this.#look(), WATCH_MS).unref();
    for (const image of images) {
      image.ticket.dispatched = true;
      image.carriers.add(lane);
    }
    const answered = (ran: boolean) => {
      if (lane.isSuspect) this.#logger.info({ worker: lane.worker.name }, 'a silent worker has answered');
      const ms = lane.answered(flight, this.#now, ran);
      if (ms === null) return;
      this.#costs.learn(variant.key, images.length, ms, this.#clock.now());
      if (batch) this.#scheduler.settle(batch, ms);
    };
    const done = () => {
      this.#running -= images.length;
      if (lane.flights.size === 0) this.#busy.delete(lane);
      for (const { carriers } of images) carriers.delete(lane);
    };
    try {
      const pixels = this.#buffers.tensor(variant, images);
      const answer = await lane.worker.infer(variant, pixels);
      // Where none comes, it may still be on its way.
      this.#buffers.giveBack(pixels);
      const outputs = this.#outputsOf(answer, lane, images, sentAt);
      answered(true);
      done();
      this.#estimate.learn(variant.key, images.length, answer.computeMs);
      images.forEach((image, position) => {
        image.settled = true;
        if (image.failedOn)
          image.failedOn.lane.worker.judged(new WorkerFaultError('failed', image.failedOn.reason));
        image.resolve(outputs[position]!);
      });
    } catch (error) {
      if (error instanceof WorkerLostError) lane.lost(flight, this.#clock.elapsed());
      else answered(false);
      done();
      this.#failed(images, lane, error instanceof Error ? error : new Error(String(error)));
    }
    this.#dispatch();
  }

  #outputsOf(
    { outputs, computeMs, device }: BatchOutput,
    lane: Lane,
    images: readonly QueuedImage[],
    sentAt: number,
  ): ImageOutput[] {
    return images.map(({ chosen, ticket, pixels, queuedAt }, position) => ({
      outputs: outputs.map((output) => sliceOfBatch(output, position, images.length)),
      device,
      batchSize: images.length,
      queueMs: sentAt - queuedAt,
      inferenceMs: computeMs,
      elsewhere: () => {
        const avoided = new Set([lane]);
        return this.#lanes.hasOther(avoided) ? this.#run(chosen, ticket, pixels, avoided) : null;
      },
      judged: (fault) =>
        lane.worker.judged(fault === null ? null : new WorkerFaultError('unreadable', fault)),
    }));
  }

  #failed(batch: readonly QueuedImage[], lane: Lane, error: Error): void {
    // What another worker has as well, one that is not silent, or is to have, may do better there.
    const isElsewhere = (image: QueuedImage) =>
      [...image.carriers].some(({ isSuspect }) => !isSuspect) ||
      this.#first.some(({ images }) => images.includes(image));
    const images = batch.filter((image) => isWanted(image) && !isElsewhere(image));
    if (error instanceof WorkerLostError) for (const { chosen } of images) this.#health.failed(chosen, error);
    if (images.length === 0) return;
    const { key } = images[0]!.chosen.variant;
    const hasOther = (than: ReadonlySet<Lane>) =>
      this.#lanes.hasOther(than) || isAwaited(this.#lanes.present, key);
    const { again, queue, fail } = afterFailure(images, error, lane, hasOther);
    this.#first.push(...again.map((images) => ({ images, batch: null })));
    for (const image of queue) this.#enqueue(image);
    for (const { image, reason, told } of fail) {
      if (!(reason instanceof WorkerLostError)) this.#health.failed(image.chosen, reason);
      if (reason instanceof ModelLoadError) this.#pool.demand.forget(image.chosen.variant);
      settle(image, told);
    }
  }

  /** Whoever is silent for too long is given no more, and what it has is given to another as well: the first to answer answers. */
  #look(): void {
    if (this.#busy.size === 0) {
      clearInterval(this.#watching!);
      this.#watching = null;
      return;
    }
    for (const lane of this.#busy) {
      // A timer that is late, since this process was busy or stopped itself, fires once: only what it saw counts.
      if (lane.passed(WATCH_MS))
        this.#logger.warn(
          { worker: lane.worker.name },
          'a worker is silent for far longer than its batch should take',
        );
      if (!lane.isSuspect || !this.#lanes.hasOther(new Set([lane]))) continue;
      for (const flight of lane.flights) {
        if (flight.isRepeated) continue;
        flight.isRepeated = true;
        for (const { avoided } of flight.images) avoided.add(lane);
        this.#first.unshift({ images: flight.images, batch: null });
      }
    }
    this.#replicate();
    this.#dispatch();
  }

  /** What keeps its workers busy while others have nothing to do is loaded by one of those as well. */
  #replicate(): void {
    const waiting = new Set(this.#scheduler.waiting.keys());
    for (const { images } of this.#first) waiting.add(images[0]!.chosen.variant.key);
    for (const { key, lane } of this.#replication.passed(WATCH_MS, waiting, this.#lanes.present)) {
      const variant = this.#pool.demand.get(key);
      // It says why where it does not.
      if (variant)
        void lane.worker.ensureLoaded(variant).then(
          () => this.#dispatch(),
          () => undefined,
        );
    }
  }
}

/** What the images of a variant are told that workers died of; null: it may be run. */
function refusalOf({ model, version, variant }: ChosenVariant, quarantine: Quarantine): ImageError | null {
  const seconds = Math.ceil(quarantine.leftMs(variant.key) / 1_000);
  if (seconds === 0) return null;
  return new ImageError(
    'INFERENCE_FAILED',
    `the model ${model}@${version} made inference workers end time and again: it is not run for another ${seconds} s`,
  );
}

/** Whether somebody waits for its answer. */
function isWanted({ settled, ticket }: QueuedImage): boolean {
  return !settled && !ticket.abandoned.aborted;
}

function settle(image: QueuedImage, error: Error): void {
  image.settled = true;
  image.reject(error);
}

function tooLate(): DeadlineExceededError {
  return new DeadlineExceededError('the deadline passed while the image waited for a worker');
}
