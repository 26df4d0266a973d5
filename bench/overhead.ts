import {
  type BaselineSettings,
  baselineSettings,
  baselineStream,
  startFastApi,
  startNaive,
} from './baselines.ts';
import { fsyncMs } from './fsync.ts';
import { figuresOf, latenciesOf, median, percentile } from './load/figures.ts';
import { foveaStream, idleStream, requestsAbout } from './load/fovea-requests.ts';
import { overheadOf, percentileOfStages, type Stages, withReceipt } from './load/stages.ts';
import type { Generator } from './load/start-generator.ts';
import type { Arrivals, Sample, Stream } from './load/stream.ts';
import { chooseModel, mobileNetV2 } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { columns, figure, tell } from './report.ts';
import { closed, open, SATURATING_CLIENTS, saturate } from './saturation.ts';
import { progress } from './service.ts';
import { onStage, type Stage } from './stage.ts';

const USAGE = `npm run bench -- overhead [options]

What the service adds to decoding and computing: what a client waits for from sending to answer, less decode and inference of the
receipt. At half of what the service answers when it is saturated, requests coming at random moments (open loop), and with one
client that asks one request after the other, whose p50 is told beside those of a server written by hand in Node and of FastAPI.

${COMMON_OPTIONS}`;

interface Server {
  readonly name: string;
  readonly stream: (arrivals: Arrivals) => Stream;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 10, rounds: 3 });
  if (!options) return;
  const model = await chooseModel(mobileNetV2, options.manifest);
  await onStage(async (stage) => {
    const pictures = await stage.pictures(128, options.pictures);
    await stage.import(model);
    const api = await stage.api();
    const { client: key } = await stage.tenants([{ name: 'client' }]);
    const bodies = requestsAbout(model, pictures);
    const fovea = {
      name: 'fovea',
      stream: (arrivals: Arrivals) => foveaStream(api.url, key!, bodies, arrivals),
    };
    const others = await baselines(stage, await baselineSettings(stage, model), pictures);
    const generator = await stage.generator();

    const fsync = fsyncMs(stage.folder);
    const clients = closed(SATURATING_CLIENTS);
    const saturation = await saturate(generator, { fovea: fovea.stream(clients) }, options.seconds);
    const halfLoad: Sample[] = [];
    const transport: number[] = [];
    const overheads: { p50: number; p99: number }[] = [];
    const atOneClient = new Map<string, number[]>();
    for (let round = 1; round <= options.rounds; round++) {
      const half = fovea.stream(open(saturation / 2, round));
      const samples = (await generator.run({ half }, options.seconds)).samples.half!;
      halfLoad.push(...samples);
      const added = withReceipt(samples).map(overheadOf);
      overheads.push({ p50: percentile(added, 50), p99: percentile(added, 99) });
      const idle = await generator.run({ idle: idleStream(half) }, options.seconds / 2);
      transport.push(...latenciesOf(idle.samples.idle!));
      for (const { name, stream } of [fovea, ...others.servers])
        atOneClient.set(name, [
          ...(atOneClient.get(name) ?? []),
          await p50AtOneClient(generator, stream, options),
        ]);
      progress(
        `round ${round} of ${options.rounds}: adds ${figure(overheads.at(-1)!.p50)} ms, p99 ${figure(overheads.at(-1)!.p99)} ms`,
      );
    }
    const result = {
      model: `${model.name}@${model.version}`,
      saturation,
      fsyncMs: fsync,
      halfLoad: {
        perSecond: saturation / 2,
        overheadMs: {
          p50: median(overheads.map(({ p50 }) => p50)),
          p99: median(overheads.map(({ p99 }) => p99)),
        },
        latencyMs: {
          p50: percentile(latenciesOf(halfLoad), 50),
          p99: percentile(latenciesOf(halfLoad), 99),
        },
        stagesMs: { p50: percentileOfStages(halfLoad, 50), p99: percentileOfStages(halfLoad, 99) },
        transportMs: { p50: percentile(transport, 50), p99: percentile(transport, 99) },
      },
      oneClientP50Ms: Object.fromEntries([...atOneClient].map(([name, values]) => [name, median(values)])),
      leftOut: others.leftOut,
    };
    tell(options.json, result, inWords(result));
  }).finally(model.remove);
}

async function baselines(
  stage: Stage,
  settings: BaselineSettings,
  pictures: readonly Buffer[],
): Promise<{ servers: Server[]; leftOut: string[] }> {
  const serverAt = (name: string, url: string): Server => ({
    name,
    stream: (arrivals) => baselineStream(url, pictures, arrivals),
  });
  const servers = [serverAt('naive server', (await startNaive(stage, settings)).url)];
  const fastApi = await startFastApi(stage, settings);
  if ('url' in fastApi) return { servers: [...servers, serverAt('FastAPI', fastApi.url)], leftOut: [] };
  progress(fastApi.absent);
  return { servers, leftOut: [fastApi.absent] };
}

async function p50AtOneClient(
  generator: Generator,
  stream: Server['stream'],
  { seconds }: { readonly seconds: number },
): Promise<number> {
  const run = await generator.run({ one: stream(closed(1)) }, seconds / 2);
  return figuresOf(run, 'one', (run.to - run.from) / 5).p50;
}

interface Result {
  readonly model: string;
  readonly saturation: number;
  readonly fsyncMs: { readonly p50: number; readonly p99: number };
  readonly halfLoad: {
    readonly perSecond: number;
    readonly overheadMs: { readonly p50: number; readonly p99: number };
    readonly latencyMs: { readonly p50: number; readonly p99: number };
    readonly stagesMs: { readonly p50: Stages; readonly p99: Stages };
    /** Of requests of the same size, at the same moments, that infer nothing. */
    readonly transportMs: { readonly p50: number; readonly p99: number };
  };
  readonly oneClientP50Ms: Readonly<Record<string, number>>;
  readonly leftOut: readonly string[];
}

function inWords({ model, saturation, fsyncMs, halfLoad, oneClientP50Ms, leftOut }: Result): string {
  const { perSecond, overheadMs, latencyMs, stagesMs, transportMs } = halfLoad;
  const stages = Object.keys(stagesMs.p50) as (keyof Stages)[];
  return [
    `${model}; saturated at ${figure(saturation)} images/s, asked for ${figure(perSecond)}; a write is on this disk after ${figure(fsyncMs.p50)} ms, p99 ${figure(fsyncMs.p99)}`,
    columns(
      ['ms', 'p50', 'p99'],
      [
        ['added by the service', overheadMs.p50, overheadMs.p99],
        ['answered after', latencyMs.p50, latencyMs.p99],
        ...stages.map((stage) => [`  ${stage}`, stagesMs.p50[stage], stagesMs.p99[stage]]),
        ['a query that infers nothing', transportMs.p50, transportMs.p99],
      ],
    ),
    columns(['one client, p50 ms', ''], Object.entries(oneClientP50Ms)),
    ...leftOut,
  ].join('\n');
}
