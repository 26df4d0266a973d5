import { Scheduler, serviceGapBoundMs } from '../../../src/inference/scheduler/scheduler.ts';
import type { Batch, BatchCosts, Work } from '../../../src/inference/scheduler/work.ts';
import { numbersFrom } from '../../../src/lib/numbers-from.ts';
import { Audit } from './audit.ts';
import { type PaperModel, paperCosts } from './paper-costs.ts';

/** What a seed makes different from one world to the next. */
export interface Circumstances {
  /** A batch takes from 1 − x to 1 + x times as long as was estimated. */
  readonly misestimate?: number;
  readonly devices?: number;
  /** Variants may wait for fuller batches. */
  readonly delays?: boolean;
}

export interface Outcome {
  readonly broken: readonly string[];
  readonly events: number;
  readonly batches: number;
  readonly widestGapMs: number;
  /** What was promised of it. */
  readonly gapBoundMs: number;
}

interface Tenant {
  readonly name: string;
  readonly weight: number;
  /** Works that it has waiting as soon as it has fewer. */
  readonly floods: number;
  /** Works that it sends at once, now and then. */
  readonly burst: number;
  readonly perSecond: number;
  readonly batchShare: number;
  readonly variants: readonly string[];
}

interface Running {
  readonly batch: Batch<string>;
  readonly actualMs: number;
  readonly until: number;
}

/** Tenants, models and arrivals drawn from `seed`; `events`: works that come and batches that are asked for. */
export function simulate(
  seed: number,
  events: number,
  { misestimate = 0, devices = 1, delays = false }: Circumstances = {},
): Outcome {
  const random = numbersFrom(seed);
  const below = (most: number) => Math.floor(random() * most);
  const models = new Map<string, PaperModel & { maxBatch: number; maxQueueDelayMs: number }>();
  for (let variant = 0; variant <= below(5); variant += 1) {
    const [perImageMs, perBatchMs] = [0.2 + 8 * random() ** 2, 12 * random() ** 2];
    const maxQueueDelayMs = delays && random() < 0.5 ? 5 + below(40) : 0;
    models.set(`v${variant}`, { perImageMs, perBatchMs, maxBatch: 1 + below(16), maxQueueDelayMs });
  }
  const keys = [...models.keys()];
  const tenants = Array.from({ length: 2 + below(9) }, (_, index): Tenant => {
    const isFlood = random() < 0.5;
    return {
      name: `t${index}`,
      weight: [1, 1, 2, 4, 7][below(5)]!,
      floods: isFlood ? 1 + below(20) : 0,
      burst: 1 + below(8),
      perSecond: isFlood ? 0 : 0.5 + 60 * random() ** 3,
      batchShare: [0, 0, 1, random()][below(4)]!,
      variants: keys.filter((key) => random() < 0.6 || key === keys[index % keys.length]),
    };
  });

  const costs: BatchCosts = paperCosts((key) => models.get(key)!, { soonestMs: () => 0.1 });
  const scheduler = new Scheduler<string>(costs);
  const audit = new Audit<string>(costs);
  const running: Running[] = [];
  const nextBurst = new Map(tenants.map(({ name }) => [name, 0]));
  let [now, happened, largestMs, offMs, askAgainAt] = [0, 0, 0, 0, Number.POSITIVE_INFINITY];

  const send = ({ name, weight, batchShare, variants }: Tenant) => {
    const variantKey = variants[below(variants.length)]!;
    const { maxBatch, maxQueueDelayMs } = models.get(variantKey)!;
    const images = random() < 0.8 ? 1 : 1 + below(maxBatch + 1);
    const work: Work<string> = {
      ...{ variantKey, images, tenant: name, weight, maxQueueDelayMs, payload: name },
      maxBatch: random() < 0.02 ? 1 : maxBatch,
      priority: random() < batchShare ? 'BATCH' : 'INTERACTIVE',
      deadline: random() < 0.1 ? now + 300 * random() : Number.POSITIVE_INFINITY,
    };
    largestMs = Math.max(largestMs, costs.batchMs(variantKey, Math.max(images, maxBatch)));
    audit.came(work);
    scheduler.enqueue(work, now);
    happened += 1;
  };
  const arrive = () => {
    const waiting = new Map<string, number>();
    for (const { tenant } of audit.works) waiting.set(tenant, (waiting.get(tenant) ?? 0) + 1);
    for (const tenant of tenants) {
      for (let count = waiting.get(tenant.name) ?? 0; count < tenant.floods; count += 1) send(tenant);
      if (tenant.perSecond === 0 || now < nextBurst.get(tenant.name)!) continue;
      for (let count = 0; count <= below(tenant.burst); count += 1) send(tenant);
      nextBurst.set(tenant.name, now + (-Math.log(1 - random()) * 1_000 * tenant.burst) / tenant.perSecond);
    }
  };
  const giveUp = () => {
    const works = audit.works;
    if (works.length === 0 || random() > 0.02) return;
    const work = works[below(works.length)]!;
    if (!scheduler.remove(work)) audit.broken.push('did not know what waits');
    if (scheduler.remove(work)) audit.broken.push('removed something twice');
    audit.removed(work);
  };
  const finish = () => {
    for (const { batch, actualMs } of running.filter(({ until }) => until <= now)) {
      scheduler.settle(batch, actualMs);
      audit.charged(batch, actualMs - batch.estimatedMs);
    }
    running.splice(0, running.length, ...running.filter(({ until }) => until > now));
  };
  /** A device that is free has something to run, unless nothing waits that may. */
  const dispatch = () => {
    askAgainAt = Number.POSITIVE_INFINITY;
    while (running.length < devices) {
      const next = scheduler.next(now);
      happened += 1;
      audit.answered(next, now);
      if (scheduler.depth !== audit.depth) audit.broken.push('lost count of what waits');
      if (!next.batch) {
        if (scheduler.depth > 0 && !(delays && next.askAgainAt !== null && next.askAgainAt > now))
          audit.broken.push('idled while something waited');
        askAgainAt = next.askAgainAt ?? Number.POSITIVE_INFINITY;
        return;
      }
      const { batch } = next;
      const actualMs = batch.estimatedMs * (1 + misestimate * (2 * random() - 1));
      offMs = Math.max(offMs, Math.abs(actualMs - batch.estimatedMs));
      running.push({ batch, actualMs, until: now + actualMs });
    }
  };

  while (happened < events) {
    finish();
    giveUp();
    arrive();
    dispatch();
    now = Math.min(askAgainAt, ...running.map(({ until }) => until), now + 1 + 20 * random());
  }
  for (;;) {
    const next = scheduler.next(now);
    audit.answered(next, now);
    if (!next.batch && scheduler.depth === 0) break;
    now += 1;
  }
  if (audit.works.length > 0) audit.broken.push('kept something for ever');
  return {
    ...{ broken: [...new Set(audit.broken)], events: happened, batches: audit.given },
    widestGapMs: audit.widestGapMs,
    gapBoundMs: serviceGapBoundMs(largestMs) + 4 * offMs,
  };
}
