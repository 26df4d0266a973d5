import type { Clock } from '../../lib/clock.ts';
import { DeadlineExceededError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { ModelHealth } from '../model-health.ts';
import type { ChosenVariant } from '../model-selection.ts';
import { ModelLoadError, WorkerFaultError, WorkerLostError } from '../oip/errors.ts';
import type { WorkerPool } from '../pool/pool.ts';
import type { BatchOutput, InferenceWorker } from '../pool/worker.ts';
import { Admission, type Applicant, type Place, type ShedReason } from './admission.ts';
import { type ImageOutput, type QueuedImage, type Ticket, untried } from './batch.ts';
import { BatchBuffers } from './batch-buffers.ts';
import { costOf } from './batch-cost.ts';
import { BatchSpan } from './batch-span.ts';
import { chooseLane, isAwaited, laneToEmpty } from './choose-lane.ts';
import { ComputeEstimate } from './compute-estimate.ts';
import { CostsOfAllKinds, keyOfKind, partsOfKey } from './costs-of-all-kinds.ts';
import { type Death, Deaths } from './deaths.ts';
import { afterFailure, type Failure } from './failed-batch.ts';
import { outputsOf } from './image-outputs.ts';
import type { Flight, Lane } from './lane.ts';
import { LaneWatch } from './lane-watch.ts';
import { Lanes } from './lanes.ts';
import { isWanted, type Load, partsFor, roomFor, scheduleFor, settle, tooLate, wantedFor } from './load.ts';
import { quarantineOf, refusalOf } from './quarantined.ts';
import { Replication } from './replication.ts';
import { type BatchRun, type Queue, queuesOf } from './report.ts';
import { Scheduler } from './scheduler.ts';
import type { Work } from './work.ts';
import type { Moment } from './worker-speed.ts';

export interface DispatcherOptions {
  /** Places for images admitted and not yet answered: see `Places`. */
  readonly maxAdmitted: number;
  /** See `Lane.isHung`; 5 s. */
  readonly hangMs?: number | undefined;
  /** Told why models fail. */
  readonly health: ModelHealth;
  readonly logger: Logger;
}

const HANG_MS = 5_000;

/** Carries images from the scheduler to the workers, and their answers back. */
export class Dispatcher {
  readonly #pool: WorkerPool;
  readonly #clock: Clock;
  readonly #health: ModelHealth;
  readonly #logger: Logger;
  readonly #costs = new CostsOfAllKinds();
  readonly #scheduler = new Scheduler<QueuedImage>(this.#costs);
  readonly #estimate = new ComputeEstimate();
  readonly #admission: Admission;
  readonly #lanes: Lanes;
  readonly #buffers = new BatchBuffers();
  readonly #replication: Replication;
  readonly #watch: LaneWatch;
  /** Batches that go before all that is queued: those that wait for a better worker than is free, and those to be run again. */
  #first: Load[] = [];
  #running = 0;
  #batches = 0;
  #expired = 0;
  readonly #deaths = new Deaths();
  readonly #onBatch: ((run: BatchRun) => void)[] = [];
  /** For batches that wait for more images. */
  #askingAgain: NodeJS.Timeout | undefined;

  constructor(pool: WorkerPool, clock: Clock, options: DispatcherOptions) {
    this.#pool = pool;
    this.#lanes = new Lanes(pool);
    this.#replication = new Replication((variantKey) => pool.demand.loadMs(variantKey));
    this.#clock = clock;
    this.#health = options.health;
    this.#logger = options.logger;
    this.#watch = new LaneWatch({
      logger: options.logger,
      hangMs: options.hangMs ?? HANG_MS,
      repeat: (flight, lane) => this.#repeat(flight, lane),
      onLook: (ms) => {
        this.#replicate(ms);
        this.#dispatch();
      },
    });
    this.#admission = new Admission({
      most: options.maxAdmitted,
      costs: this.#costs,
      workers: () => this.#lanes.present.filter(({ isReady }) => isReady).length,
      clock,
    });
    // Once its lane was told as well, which trusts it again by that.
    pool.onReady(() => queueMicrotask(() => this.#dispatch()));
  }

  get admitted(): number {
    return this.#admission.admitted;
  }

  get queueDepth(): number {
    return this.#scheduler.depth + this.#heldUp.length;
  }

  /** What of each plan's images waits; of plans with none nothing is said. */
  get queues(): ReadonlyMap<string, Queue> {
    const queued = Array.from(this.#scheduler.works, ({ payload }) => payload);
    return queuesOf([...queued, ...this.#heldUp], this.#clock.elapsed());
  }

  /** Images that were refused before they were decoded, by reason. */
  get shed(): ReadonlyMap<ShedReason, number> {
    return this.#admission.shed;
  }

  /** Images whose deadline passed while they waited. */
  get expired(): number {
    return this.#expired;
  }

  /** Called with each batch that is answered. */
  onBatch(callback: (run: BatchRun) => void): void {
    this.#onBatch.push(callback);
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
  laneOf(worker: InferenceWorker): Pick<Lane, 'flights' | 'answers' | 'isSuspect' | 'isMute'> {
    return this.#lanes.of(worker);
  }

  /** Estimated compute time of one image of a variant in a batch of its own, milliseconds; null: never measured. */
  latencyMs(variantKey: string): number | null {
    return this.#estimate.batchMs(variantKey, 1);
  }

  /** See `Admission.requireRoom`. */
  requireRoom(tenant: Pick<Applicant, 'tenant' | 'weight'>): void {
    this.#admission.requireRoom(tenant);
  }

  /** See `Admission.admit`. */
  admit(applicant: Applicant): Place {
    return this.#admission.admit(applicant);
  }

  /**
   * Queues one decoded image.
   *
   * @param pixels `uint8 [height, width, 3]` of the variant's input size
   * @throws DeadlineExceededError, OverloadedError (no worker has time for it), ImageError INFERENCE_FAILED, or the reason
   *   for which the ticket was abandoned
   */
  run(chosen: ChosenVariant, ticket: Ticket, pixels: Uint8Array): Promise<ImageOutput> {
    this.#pool.demand.asked(chosen.variant);
    return this.#run(chosen, ticket, pixels, new Set());
  }

  #run(chosen: ChosenVariant, ticket: Ticket, pixels: Uint8Array, avoided: Set<Lane>): Promise<ImageOutput> {
    return new Promise<ImageOutput>((resolve, reject) => {
      ticket.abandoned.throwIfAborted();
      const refusal = refusalOf({ chosen, ticket, pixels }, this.#pool);
      if (refusal) throw refusal;
      const image: QueuedImage = {
        ...untried,
        ...{ chosen, ticket, pixels, queuedAt: this.#clock.elapsed(), carriers: new Set(), avoided },
        // One that is to go elsewhere than others goes alone.
        ...{ alone: avoided.size > 0, waiting: ticket.span.child('queue'), resolve, reject },
      };
      this.#enqueue(image);
      this.#dispatch();
    });
  }

  #enqueue(image: QueuedImage): void {
    const work = this.#workFor(image);
    this.#scheduler.enqueue(work, this.#clock.elapsed());
    image.ticket.abandoned.addEventListener(
      'abort',
      () => {
        const { reason } = image.ticket.abandoned;
        const hasWaited = this.#scheduler.remove(work) || image.carriers.size === 0;
        if (hasWaited && !image.settled && reason instanceof DeadlineExceededError) this.#expired += 1;
        settle(image, reason);
      },
      { once: true },
    );
  }

  #workFor(image: QueuedImage): Work<QueuedImage> {
    const { ticket } = image;
    const { variant } = image.chosen;
    return {
      variantKey: this.#lanes.areShared ? keyOfKind(variant.key, ticket.tenant) : variant.key,
      images: 1,
      maxBatch: image.alone ? 1 : variant.maxBatch,
      tenant: ticket.tenant,
      weight: ticket.weight,
      priority: ticket.priority,
      deadline: ticket.deadline,
      maxQueueDelayMs: image.alone ? 0 : variant.maxQueueDelayMs,
      payload: image,
    };
  }

  get #now(): Moment {
    return { elapsed: this.#clock.elapsed(), batches: this.#batches };
  }

  /** Images that wait although they have left the queue. */
  get #heldUp(): QueuedImage[] {
    const images = this.#first.flatMap((load) => load.images);
    return images.filter((image) => image.carriers.size === 0 && isWanted(image));
  }

  #isLate({ ticket }: QueuedImage): boolean {
    return ticket.deadline <= this.#clock.elapsed();
  }

  #expire(image: QueuedImage): void {
    this.#expired += 1;
    settle(image, tooLate());
  }

  /** Answers the workers that may be given what is queued: whom a batch is to have for itself is given no more. */
  #placeFirst(): readonly Lane[] {
    let lanes: readonly Lane[] = this.#lanes.present;
    const before = this.#first;
    this.#first = [];
    for (const load of before) {
      if (this.#place(load, lanes)) continue;
      const wanted = wantedFor(load.images);
      const reserved = wanted.isDoubtful ? laneToEmpty(lanes, wanted) : null;
      lanes = lanes.filter((lane) => lane !== reserved);
      this.#first.push(load);
    }
    return lanes;
  }

  #dispatch(): void {
    clearTimeout(this.#askingAgain);
    const lanes = this.#placeFirst();
    while (lanes.some(({ isReady, isFull }) => isReady && !isFull)) {
      const canRun = roomFor(this.#first, lanes);
      const { batch, expired, askAgainAt } = this.#scheduler.next(this.#clock.elapsed(), canRun);
      for (const { payload } of expired) this.#expire(payload);
      if (!batch) {
        if (askAgainAt !== null)
          this.#askingAgain = setTimeout(() => this.#dispatch(), askAgainAt - this.#clock.elapsed());
        return;
      }
      const load = { images: batch.works.map(({ payload }) => payload), batch };
      if (!this.#place(load, lanes)) this.#first.push(load);
    }
  }

  /** Sends a batch where it is best run, without those of its images that nobody waits for any more. False: it has to wait. */
  #place(load: Load, lanes: readonly Lane[]): boolean {
    for (const image of load.images.filter(isWanted)) {
      const refusal = quarantineOf(image, this.#pool.quarantine);
      if (refusal) settle(image, refusal);
      else if (this.#isLate(image)) this.#expire(image);
    }
    const images = load.images.filter(isWanted);
    if (images.length === 0) {
      if (load.batch) this.#scheduler.settle(load.batch, 0);
      return true;
    }
    const wanted = wantedFor(images);
    const guessMs = this.#costs.batchMs(wanted.variantKey, images.length);
    const choice = chooseLane(lanes, wanted, { now: this.#now, queued: this.#scheduler.depth, guessMs });
    if (!choice) return false;
    const { lane, expectedMs } = choice;
    for (const part of partsFor(lane, { images, batch: load.batch }))
      void this.#carry(lane, part, expectedMs);
    return true;
  }

  async #carry(lane: Lane, { images, batch }: Load, expectedMs: number | null): Promise<void> {
    const { variant } = images[0]!.chosen;
    const sentAt = this.#clock.elapsed();
    const flight = lane.begin(images, variant.key, expectedMs, sentAt);
    this.#batches += 1;
    this.#running += images.length;
    this.#watch.begun(lane);
    for (const image of images) {
      image.ticket.dispatched = true;
      image.carriers.add(lane);
    }
    const span = new BatchSpan(images, lane.worker.name);
    const answered = (outcome: BatchOutput | Error) => {
      if (lane.isSuspect) this.#logger.info({ worker: lane.worker.name }, 'a silent worker has answered');
      const { ms, hasLoaded, isTelling } = lane.answered(flight, this.#now, !(outcome instanceof Error));
      const cost = costOf(lane.worker, images.length, outcome, ms);
      if (cost === null) return;
      if (isTelling) this.#costs.learn(variant.key, cost.images, cost.ms, this.#clock.elapsed());
      // What fails has taken the device up as well; a load serves whoever asks next, too.
      if (batch && !hasLoaded) this.#scheduler.settle(batch, (cost.ms * images.length) / cost.images);
    };
    const done = (error?: unknown) => {
      span.end(error);
      this.#running -= images.length;
      this.#watch.ended(lane);
      for (const { carriers } of images) carriers.delete(lane);
    };
    try {
      const pixels = this.#buffers.tensor(variant, images);
      const notes = {
        trace: span.headers,
        schedule: scheduleFor(images, this.#clock.elapsed()),
        tenants: images.map(({ ticket }) => ticket.tenant),
      };
      const answer = await lane.worker.infer(variant, pixels, notes);
      // Where none comes, it may still be on its way.
      this.#buffers.giveBack(pixels);
      const outputs = outputsOf(answer, flight, lane, (image) => this.#elsewhere(image, lane));
      answered(answer);
      done();
      this.#estimate.learn(variant.key, Math.max(images.length, answer.batchSize), answer.computeMs);
      this.#tell(images, lane, answer);
      images.forEach((image, position) => {
        image.settled = true;
        image.isAnswered = true;
        this.#pool.deadlyImages.answered(variant.key, image.pixels);
        if (image.failedOn)
          image.failedOn.lane.worker.judged(new WorkerFaultError('failed', image.failedOn.reason));
        image.resolve(outputs[position]!);
      });
    } catch (reason) {
      const error = reason instanceof Error ? reason : new Error(String(reason));
      const death = this.#deathBy(error, flight, lane);
      if (error instanceof WorkerLostError) lane.lost(flight, this.#clock.elapsed());
      else answered(error);
      done(error);
      const wasAlone = flight.wasAlone && images.length === 1;
      const isDeadly = wasAlone && death !== null && this.#isDeadly(images[0]!, error);
      this.#failed(images, {
        ...{ error, lane, death, wasAlone, isDeadly },
        hasOther: (than) => this.#lanes.hasOther(than) || isAwaited(this.#lanes.present, variant.key),
      });
    }
    this.#dispatch();
  }

  #elsewhere({ chosen, ticket, pixels }: QueuedImage, lane: Lane): Promise<ImageOutput> | null {
    const avoided = new Set([lane]);
    return this.#lanes.hasOther(avoided) ? this.#run(chosen, ticket, pixels, avoided) : null;
  }

  #deathBy(error: unknown, flight: Flight, lane: Lane): Death | null {
    if (!(error instanceof WorkerLostError) || error.isBusy) return null;
    return lane.worker.stats().state === 'closed'
      ? null
      : this.#deaths.under(flight, lane, this.#clock.elapsed());
  }

  #tell(images: readonly QueuedImage[], { worker }: Lane, answer: BatchOutput): void {
    const { chosen } = images[0]!;
    const run = { chosen, worker: worker.name, device: answer.device, engineMs: answer.computeMs };
    for (const told of this.#onBatch) told({ ...run, images: images.length });
  }

  #failed(batch: readonly QueuedImage[], failure: Failure): void {
    const { error, isDeadly } = failure;
    // What another worker has as well, and should answer, or is to have, may do better there.
    const isElsewhere = (image: QueuedImage) =>
      [...image.carriers].some((carrier) => carrier.isToAnswer(image)) ||
      this.#first.some(({ images }) => images.includes(image));
    const images = batch.filter((image) => isWanted(image) && (isDeadly || !isElsewhere(image)));
    if (error instanceof WorkerLostError) for (const { chosen } of images) this.#health.failed(chosen, error);
    if (images.length === 0) return;
    const { again, queue, fail } = afterFailure(images, failure);
    this.#first.push(...again.map((images) => ({ images, batch: null })));
    for (const image of queue) this.#enqueue(image);
    for (const { image, reason, told } of fail) {
      if (!(reason instanceof WorkerLostError)) this.#health.failed(image.chosen, reason);
      if (reason instanceof ModelLoadError) this.#pool.demand.forget(image.chosen.variant);
      if (failure.death !== null) this.#pool.deadlyImages.add(image.chosen.variant.key, image.pixels);
      settle(image, told);
    }
  }

  /** Whether workers are known by now to break under an image, which was all that one had. It counts, too, where it is too late. */
  #isDeadly({ chosen, pixels, isAnswered }: QueuedImage, error: Error): boolean {
    if (!(error instanceof WorkerLostError) || !error.hasBroken || isAnswered) return false;
    return this.#pool.deadlyImages.broke(chosen.variant.key, pixels);
  }

  /**
   * Has a batch run by another worker as well, where there is one: the first to answer answers. One image may be what silenced a
   * worker of this machine, so that each runs apart from the others.
   */
  #repeat({ images, variantKey }: Flight, lane: Lane): boolean {
    // One that lives may be slow because there is much to do: no more is made of that than one copy a worker.
    const tried = new Set([lane, ...(lane.isSuspect ? [] : images.flatMap(({ avoided }) => [...avoided]))]);
    if (!this.#lanes.hasOther(tried, variantKey)) return false;
    for (const { avoided } of images) avoided.add(lane);
    const parts = lane.isSuspect && lane.worker.killHung ? images.map((image) => [image]) : [images];
    this.#first.unshift(...parts.map((part) => ({ images: part, batch: null })));
    return true;
  }

  /** What keeps its workers busy while others have nothing to do is loaded by one of those as well. */
  #replicate(ms: number): void {
    const waiting = new Set(Array.from(this.#scheduler.waiting.keys(), (key) => partsOfKey(key).variantKey));
    for (const { images } of this.#first) waiting.add(images[0]!.chosen.variant.key);
    for (const { key, lane } of this.#replication.passed(ms, waiting, this.#lanes.present)) {
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
