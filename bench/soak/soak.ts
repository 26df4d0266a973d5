import { setTimeout as sleep } from 'node:timers/promises';
import { latenciesOf, percentile, sumOf } from '../load/figures.ts';
import { foveaStream, requestsAbout } from '../load/fovea-requests.ts';
import { readMetrics, total } from '../load/metrics.ts';
import type { Generator } from '../load/start-generator.ts';
import type { Sample, Stream } from '../load/stream.ts';
import { chooseModel, mobileNetV2 } from '../models.ts';
import { COMMON_OPTIONS, readOptions } from '../options.ts';
import { columns, figure, outcomesText, tell } from '../report.ts';
import { closed, SATURATING_CLIENTS, saturate } from '../saturation.ts';
import { progress } from '../service.ts';
import { onStage } from '../stage.ts';
import { ChangingModel, Events } from './events.ts';
import { mixedLoad, RUDE, TENANTS } from './mixed-load.ts';
import { type Books, isLedgerExact, Tally } from './tally.ts';
import { judge, type Reading, type Verdict } from './verdict.ts';

const USAGE = `npm run bench -- soak [options]

A mixed load at half of saturation for --minutes: classifying, detecting and segmenting clients, some whose pictures are spoilt and
some who hang up, while tenants join, a model changes its version and workers are killed. Every --seconds the API process's
memory and event loop are read from /metrics. Ends with a verdict: memory within 5 % after the first ten minutes, the event
loop's delay within 20 ms (99th percentile), units billed as served for each tenant whose clients heard every answer, and a
ledger that is exact. Exits with 1 where one of them fails.

${COMMON_OPTIONS}  --minutes n          (60)
  --load n             of what the service answers when it is saturated (0.5)
`;

/** Room for less than the steady tenant's pictures, so that what is kept changes all the time. */
const CACHE_BYTES = '100000';
/** Until those who hung up are let go, and what was computed for nobody is booked. */
const AFTERMATH_MS = 2_000;

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 10, rounds: 1, minutes: 60, load: 0.5 });
  if (!options) return;
  const { seconds, minutes } = options;
  const model = await chooseModel(mobileNetV2, options.manifest);
  await onStage(async (stage) => {
    const pictures = await stage.pictures(128, options.pictures);
    await stage.import(model);
    const api = await stage.api({ FOVEA_WORKERS_PER_DEVICE: '2', FOVEA_CACHE_BYTES: CACHE_BYTES });
    const changing = new ChangingModel(stage);
    await changing.change();
    const keys = await stage.tenants([...TENANTS, 'first'].map((name) => ({ name })));
    const generator = await stage.generator();
    const bodies = requestsAbout(model, pictures);
    const first = foveaStream(api.url, keys.first!, bodies, closed(SATURATING_CLIENTS));
    const saturation = await saturate(generator, { first }, Math.min(5, seconds));
    const perSecond = options.load * saturation;
    const streams = await mixedLoad({ url: api.url, keys, model, pictures, perSecond });

    const tally = new Tally();
    const joiners = await stage.generator();
    const events = new Events({ stage, api, changing, generator: joiners, bodies, tally });
    const readings = await observe({ url: api.url, generator, streams, events, tally, seconds, minutes });
    await sleep(AFTERMATH_MS);
    const books = (await tally.compareWithLedger(stage)).filter(({ tenant }) => tenant !== RUDE);
    const result = {
      ...{ model: `${model.name}@${model.version}`, minutes, saturation, ...events.soFar },
      outcomes: tally.outcomes,
      verdict: judge(readings),
      misbilled: books.filter(({ served, billed }) => served !== billed),
      isLedgerExact: await isLedgerExact(stage),
      readings,
    };
    tell(options.json, result, inWords(result));
    if (!isPassed(result)) process.exitCode = 1;
  }).finally(model.remove);
}

interface Course {
  readonly url: string;
  readonly generator: Generator;
  readonly streams: Readonly<Record<string, Stream>>;
  readonly events: Events;
  readonly tally: Tally;
  /** Between two readings. */
  readonly seconds: number;
  readonly minutes: number;
}

async function observe(course: Course): Promise<Reading[]> {
  const { url, generator, streams, events, tally, seconds, minutes } = course;
  const readings: Reading[] = [];
  const add = (samples: Readonly<Record<string, readonly Sample[]>>) => {
    for (const [tenant, some] of Object.entries(samples)) tally.add(tenant, some);
  };
  await generator.begin(streams);
  const started = performance.now();
  const minute = () => (performance.now() - started) / 60_000;
  for (let before = 0; before < minutes; before = minute()) {
    events.step(seconds);
    await sleep(seconds * 1000);
    const { samples } = await generator.take();
    add(samples);
    const spanMs = (minute() - before) * 60_000;
    readings.push(await read(url, minute(), Object.values(samples).flat(), spanMs));
    progress(`${inBrief(readings.at(-1)!)}; so far ${outcomesText(events.soFar)}`);
  }
  await events.done();
  add((await generator.end()).samples);
  return readings;
}

async function read(
  url: string,
  minute: number,
  samples: readonly Sample[],
  spanMs: number,
): Promise<Reading> {
  const metrics = await readMetrics(url);
  return {
    minute,
    residentBytes: total(metrics, 'process_resident_memory_bytes'),
    // Since the reading before: the page starts afresh with each.
    eventLoopP99Ms: 1000 * total(metrics, 'nodejs_eventloop_lag_p99_seconds'),
    answeredPerSecond: (1000 * sumOf(samples.map(({ images }) => images))) / spanMs,
    latencyP99Ms: percentile(latenciesOf(samples), 99),
  };
}

interface Result {
  readonly model: string;
  readonly minutes: number;
  readonly saturation: number;
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly verdict: Verdict;
  readonly misbilled: readonly Books[];
  readonly isLedgerExact: boolean;
  readonly readings: readonly Reading[];
}

function isPassed({ verdict, misbilled, isLedgerExact }: Result): boolean {
  return verdict.isMemoryFlat && verdict.isEventLoopFree && misbilled.length === 0 && isLedgerExact;
}

function inBrief({
  minute,
  residentBytes,
  eventLoopP99Ms,
  answeredPerSecond,
  latencyP99Ms,
}: Reading): string {
  return `minute ${minute.toFixed(1)}: ${mebibytes(residentBytes)} MiB, event loop ${figure(eventLoopP99Ms)} ms, ${figure(answeredPerSecond)} images/s, p99 ${figure(latencyP99Ms)} ms`;
}

function inWords(result: Result): string {
  const { model, minutes, saturation, outcomes, verdict, misbilled, readings } = result;
  const yes = (is: boolean) => (is ? 'yes' : 'NO');
  return [
    `${model}, ${figure(minutes)} minutes; saturated at ${figure(saturation)} images/s`,
    ...Object.entries(outcomes).map(([tenant, counts]) => `  ${tenant}: ${outcomesText(counts)}`),
    columns(
      [`after the first ${figure(verdict.settlingMinutes)} minutes`, '', 'as wanted'],
      [
        ['memory, end over beginning', verdict.memoryGrowth, yes(verdict.isMemoryFlat)],
        ['  at the end, MiB', mebibytes(readings.at(-1)!.residentBytes), ''],
        ['event loop, p99 ms of nine in ten spans', verdict.eventLoopP99Ms, yes(verdict.isEventLoopFree)],
        ['  of the worst span', verdict.worstEventLoopP99Ms, ''],
        ['tenants billed otherwise than served', misbilled.length, yes(misbilled.length === 0)],
        ['ledger exact', '', yes(result.isLedgerExact)],
      ],
    ),
    ...misbilled.map(({ tenant, served, billed }) => `  ${tenant}: ${served} units served, ${billed} billed`),
  ].join('\n');
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}
