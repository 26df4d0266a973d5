import { serviceGapBoundMs } from '../src/inference/scheduler/scheduler.ts';
import { batchesOf } from './load/batches.ts';
import { median, percentile, sumOf } from './load/figures.ts';
import { foveaStream, requestsAbout } from './load/fovea-requests.ts';
import { total, watchMetrics } from './load/metrics.ts';
import { largestGap, type Service } from './load/service-gap.ts';
import { withReceipt } from './load/stages.ts';
import type { Run } from './load/start-generator.ts';
import type { Stream } from './load/stream.ts';
import { type BenchModel, chooseModel, heavy, light } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { columns, figure, tell } from './report.ts';
import { closed } from './saturation.ts';
import { progress } from './service.ts';
import { onStage } from './stage.ts';

const USAGE = `npm run bench -- fairness [options]

What three tenants of weights 1, 2 and 4 get of a worker's time while each always has more to do: one asks a heavy model, one a
light one, one both in turn. Service is time of the worker, from receipts: what a batch took it up over its images. Its shares
are held against the weights, and the largest gap in service over weight between two tenants against the bound that the scheduler
states: twice the longest batch and a quantum. Pictures are small, and there is one worker of one thread, so that it is what they compete for.

${COMMON_OPTIONS}  --clients n          of each tenant (32)
`;

const WEIGHTS = { one: 1, two: 2, four: 4 };
type Tenant = keyof typeof WEIGHTS;
const TENANTS = Object.keys(WEIGHTS) as Tenant[];
const SMALL = { width: 160, height: 120 };
const PICTURES = 24;
/** Until queues have filled and the scheduler knows what the models cost. */
const WARM_UP_MS = 2_000;

interface Round {
  /** By tenant: its part of the worker's time over its part of the weights. 1 is exact. */
  readonly shareOverWeight: Readonly<Record<Tenant, number>>;
  readonly worstDeviation: number;
  /** Milliseconds of service over weight. */
  readonly gapMs: number;
  readonly longestBatchMs: number;
  readonly gapOverBound: number;
  /** By tenant: how long its images queued at least. Near 0 it had nothing waiting, and fairness owes it nothing. */
  readonly leastQueueMs: Readonly<Record<Tenant, number>>;
  readonly fewestQueued: number;
  readonly imagesPerSecond: number;
  readonly imagesPerBatch: number;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 20, rounds: 3, clients: 32 });
  if (!options) return;
  const models = {
    heavy: await chooseModel(heavy, options.manifest),
    light: await chooseModel(light),
  };
  await onStage(async (stage) => {
    const pictures = await stage.pictures(PICTURES, options.pictures, SMALL);
    for (const model of Object.values(models)) await stage.import(model);
    const { url } = await stage.api({ FOVEA_WORKERS_PER_DEVICE: '1', FOVEA_WORKER_THREADS: '1' });
    const keys = await stage.tenants(TENANTS.map((name) => ({ name, weight: WEIGHTS[name] })));
    const streams: Record<string, Stream> = {};
    for (const name of TENANTS) {
      const bodies = pictures.flatMap((picture) =>
        modelsOf(name, models).flatMap((model) => requestsAbout(model, [picture])),
      );
      streams[name] = foveaStream(url, keys[name]!, bodies, closed(options.clients));
    }
    const generator = await stage.generator();
    const rounds: Round[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const queued: number[] = [];
      const watching = watchMetrics(url, 250, (metrics) =>
        queued.push(total(metrics, 'fovea_images_queued')),
      );
      const run = await generator.run(streams, options.seconds + WARM_UP_MS / 1000);
      await watching.stop();
      const settled = queued.slice(Math.ceil(WARM_UP_MS / 250), -1);
      rounds.push(judge(run, Math.min(...settled)));
      progress(
        `round ${round} of ${options.rounds}: worst share off by ${percent(rounds.at(-1)!.worstDeviation)}, gap over bound ${figure(rounds.at(-1)!.gapOverBound)}`,
      );
    }
    const result = {
      models: { heavy: models.heavy.name, light: models.light.name },
      worstDeviation: median(rounds.map(({ worstDeviation }) => worstDeviation)),
      gapOverBound: Math.max(...rounds.map(({ gapOverBound }) => gapOverBound)),
      rounds,
    };
    tell(options.json, result, inWords(result));
  }).finally(() => {
    for (const model of Object.values(models)) model.remove();
  });
}

function modelsOf(tenant: Tenant, { heavy, light }: Record<'heavy' | 'light', BenchModel>): BenchModel[] {
  return { one: [heavy], two: [light], four: [heavy, light] }[tenant];
}

function judge(run: Run, fewestQueued: number): Round {
  const begun = run.from + WARM_UP_MS;
  const answered = Object.fromEntries(
    TENANTS.map((name) => [
      name,
      withReceipt(run.samples[name]!).filter(({ doneAt }) => doneAt >= begun && doneAt <= run.to),
    ]),
  );
  const [, ...batches] = batchesOf(answered);
  const services = batches.flatMap(({ endedAt: at, images, byTenant, deviceMs }) =>
    Object.entries(byTenant).map(([tenant, own]): Service => {
      const serviceMs = (deviceMs * own) / images / WEIGHTS[tenant as Tenant];
      return { tenant, at, serviceMs };
    }),
  );
  const overWeight = each((name) =>
    sumOf(services.filter(({ tenant }) => tenant === name).map(({ serviceMs }) => serviceMs)),
  );
  const served = sumOf(TENANTS.map((name) => WEIGHTS[name] * overWeight[name]));
  const shareOverWeight = each((name) => (overWeight[name] * sumOf(Object.values(WEIGHTS))) / served);
  const longestBatchMs = Math.max(...batches.map(({ deviceMs }) => deviceMs));
  const gapMs = largestGap(services);
  return {
    shareOverWeight,
    worstDeviation: Math.max(...Object.values(shareOverWeight).map((share) => Math.abs(share - 1))),
    gapMs,
    longestBatchMs,
    // The least weight is 1.
    gapOverBound: gapMs / serviceGapBoundMs(longestBatchMs),
    leastQueueMs: each((name) =>
      percentile(
        answered[name]!.map(({ receipt }) => receipt.queueMs),
        1,
      ),
    ),
    fewestQueued,
    imagesPerSecond: (sumOf(Object.values(answered).map(({ length }) => length)) / (run.to - begun)) * 1000,
    imagesPerBatch: sumOf(batches.map(({ images }) => images)) / batches.length,
  };
}

function each(value: (tenant: Tenant) => number): Record<Tenant, number> {
  return { one: value('one'), two: value('two'), four: value('four') };
}

function percent(part: number): string {
  return `${figure(100 * part)} %`;
}

interface Result {
  readonly models: { readonly heavy: string; readonly light: string };
  readonly worstDeviation: number;
  readonly gapOverBound: number;
  readonly rounds: readonly Round[];
}

function inWords({ models, worstDeviation, gapOverBound, rounds }: Result): string {
  const asks = { one: models.heavy, two: models.light, four: 'both in turn' };
  const over = (value: (round: Round) => number) => median(rounds.map(value));
  return [
    `${figure(over(({ imagesPerSecond }) => imagesPerSecond))} images/s, in batches of ${figure(over(({ imagesPerBatch }) => imagesPerBatch))}, never fewer than ${over(({ fewestQueued }) => fewestQueued)} queued`,
    columns(
      ['tenant', 'weight', 'share / weight', 'queued at least, ms', 'asks'],
      TENANTS.map((name) => [
        name,
        WEIGHTS[name],
        over(({ shareOverWeight }) => shareOverWeight[name]),
        over(({ leastQueueMs }) => leastQueueMs[name]),
        asks[name],
      ]),
    ),
    `worst share off by ${percent(worstDeviation)}; largest gap ${figure(over(({ gapMs }) => gapMs))} ms of service over weight, longest batch ${figure(over(({ longestBatchMs }) => longestBatchMs))} ms: ${figure(gapOverBound)} of the bound at worst`,
  ].join('\n');
}
