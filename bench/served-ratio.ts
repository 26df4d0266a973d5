import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { BareLoopSettings } from './bare-loop.ts';
import {
  type BaselineSettings,
  baselineSettings,
  baselineStream,
  startFastApi,
  startNaive,
} from './baselines.ts';
import { type CpuTimes, cpuMsPerImage, cpuTimes } from './cpu-time.ts';
import { figuresOf, median } from './load/figures.ts';
import { askAbout, foveaStream, requestsAbout, upload } from './load/fovea-requests.ts';
import type { Generator } from './load/start-generator.ts';
import type { Stream } from './load/stream.ts';
import { type BenchModel, chooseModel, mobileNetV2 } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { script } from './processes.ts';
import { columns, figure, tell } from './report.ts';
import { closed, SATURATING_CLIENTS } from './saturation.ts';
import { progress } from './service.ts';
import { onStage, type Stage } from './stage.ts';

const USAGE = `npm run bench -- served-ratio [options]

Images per second that the whole service answers and books over GraphQL, with pictures in base64 and by uploadId, over what a bare
loop of the same engine does with the same JPEGs: the best of a sweep over batch size, decodes in flight and threads. Beside it a
server written by hand in Node and FastAPI, each the best of a sweep of its own. All are measured in turn.

${COMMON_OPTIONS}`;

const PICTURES = 256;

/** A way to have pictures answered. @returns images per second */
interface Contender {
  readonly name: string;
  measure(seconds: number): Promise<number>;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 5, rounds: 5 });
  if (!options) return;
  const model = await chooseModel(mobileNetV2, options.manifest);
  await onStage(async (stage) => {
    const { seconds, rounds } = options;
    const pictures = await stage.pictures(PICTURES, options.pictures);
    await stage.import(model);
    const generator = await stage.generator();
    const { contenders: services, cpu } = await foveas(stage, generator, { model, pictures });
    const sweepSeconds = Math.max(0.5, seconds / 3);
    const bare = await bareLoop(stage, model, sweepSeconds);
    const { contenders: servers, leftOut } = await baselines(stage, generator, {
      model,
      pictures,
      sweepSeconds,
    });
    const contenders = [bare, ...services, ...servers];

    progress(`warming up: V8 compiles what runs often, for the first thousands of requests`);
    for (const { measure } of contenders.slice(1)) await measure(4 * seconds);
    const measured = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 1; round <= rounds; round++) {
      for (const { name, measure } of contenders) measured.get(name)!.push(await measure(seconds));
      const last = [...measured].map(([name, values]) => `${name} ${figure(values.at(-1)!)}`);
      progress(`round ${round} of ${rounds}, images/s: ${last.join(', ')}`);
    }
    const result: Result = {
      model: `${model.name}@${model.version}`,
      clients: SATURATING_CLIENTS,
      rounds,
      imagesPerSecond: Object.fromEntries([...measured].map(([name, values]) => [name, median(values)])),
      ratio: Object.fromEntries(
        [...measured].map(([name, values]) => [name, ratioOf(values, measured.get(bare.name)!)]),
      ),
      cpuMsPerImage: Object.fromEntries(cpu),
      leftOut,
    };
    tell(options.json, result, inWords(result));
  }).finally(model.remove);
}

/** Of each round by itself, since a machine is not equally fast in all of them. */
function ratioOf(values: readonly number[], bare: readonly number[]): number {
  return median(values.map((value, round) => value / bare[round]!));
}

interface Result {
  readonly model: string;
  readonly clients: number;
  readonly rounds: number;
  readonly imagesPerSecond: Readonly<Record<string, number>>;
  readonly ratio: Readonly<Record<string, number>>;
  /** Where the service's time goes. */
  readonly cpuMsPerImage: Readonly<Record<string, CpuTimes>>;
  readonly leftOut: readonly string[];
}

function inWords({ model, clients, rounds, imagesPerSecond, ratio, cpuMsPerImage, leftOut }: Result): string {
  const parts = [...new Set(Object.values(cpuMsPerImage).flatMap((times) => Object.keys(times)))];
  return [
    `${model}, JPEG 500 × 375, no two alike, ${clients} clients; medians of ${rounds} rounds`,
    columns(
      ['', 'images/s', 'over the bare loop'],
      Object.entries(imagesPerSecond).map(([name, value]) => [name, value, ratio[name]!]),
    ),
    columns(
      ['CPU ms an image', ...parts],
      Object.entries(cpuMsPerImage).map(([name, times]) => [
        name,
        ...parts.map((part) => times[part as keyof CpuTimes] ?? Number.NaN),
      ]),
    ),
    ...leftOut,
  ].join('\n');
}

interface Asked {
  readonly model: BenchModel;
  readonly pictures: readonly Buffer[];
}

/** The service, asked in two ways; `cpu` fills with what the last measurement of each took. */
async function foveas(
  stage: Stage,
  generator: Generator,
  { model, pictures }: Asked,
): Promise<{ contenders: Contender[]; cpu: Map<string, CpuTimes> }> {
  const { url } = await stage.api();
  const { client: key } = await stage.tenants([{ name: 'client' }]);
  progress(`uploading ${pictures.length} pictures`);
  const uploads = await upload(url, key!, pictures);
  const bodies = {
    'served, base64': requestsAbout(model, pictures),
    'served, uploadId': uploads.map((picture) => askAbout(model, picture)),
  };
  const cpu = new Map<string, CpuTimes>();
  const contenders = Object.entries(bodies).map(([name, asked]): Contender => {
    const stream = foveaStream(url, key!, asked, closed(SATURATING_CLIENTS));
    return {
      name,
      async measure(seconds) {
        const before = cpuTimes();
        const perSecond = await throughput(generator, stream, seconds);
        cpu.set(name, cpuMsPerImage(before, cpuTimes(), perSecond * seconds));
        return perSecond;
      },
    };
  });
  return { contenders, cpu };
}

async function throughput(generator: Generator, stream: Stream, seconds: number): Promise<number> {
  const run = await generator.run({ stream }, seconds);
  const { imagesPerSecond, outcomes } = figuresOf(run, 'stream');
  const { ANSWERED: _, ...others } = outcomes;
  if (Object.keys(others).length > 0) throw new Error(`not all were answered: ${JSON.stringify(outcomes)}`);
  return imagesPerSecond;
}

async function baselines(
  stage: Stage,
  generator: Generator,
  { model, pictures, sweepSeconds }: Asked & { sweepSeconds: number },
): Promise<{ contenders: Contender[]; leftOut: string[] }> {
  const contenders: Contender[] = [];
  const leftOut: string[] = [];
  const starts = { 'naive server': startNaive, FastAPI: startFastApi };
  for (const [name, start] of Object.entries(starts)) {
    let best: { tuning: Partial<BaselineSettings>; perSecond: number } | null = null;
    const streamTo = (url: string) => baselineStream(url, pictures, closed(SATURATING_CLIENTS));
    for (const tuning of tunings) {
      const server = await start(stage, await baselineSettings(stage, model, tuning));
      if ('absent' in server) {
        leftOut.push(server.absent);
        break;
      }
      await throughput(generator, streamTo(server.url), 0.5);
      const perSecond = await throughput(generator, streamTo(server.url), sweepSeconds);
      await server.stop();
      progress(`${name}, ${JSON.stringify(tuning)}: ${figure(perSecond)} images/s`);
      if (!best || perSecond > best.perSecond) best = { tuning, perSecond };
    }
    if (!best) continue;
    const server = await start(stage, await baselineSettings(stage, model, best.tuning));
    if ('absent' in server) continue;
    const stream = streamTo(server.url);
    contenders.push({ name, measure: (seconds) => throughput(generator, stream, seconds) });
  }
  return { contenders, leftOut };
}

const tunings: readonly Partial<BaselineSettings>[] = [
  { threads: null, inFlight: null },
  { threads: 1, inFlight: 2 },
  { threads: 1, inFlight: 4 },
  { threads: 2, inFlight: 2 },
];

async function bareLoop(stage: Stage, model: BenchModel, sweepSeconds: number): Promise<Contender> {
  const { width, height } = model;
  const fixed = {
    graph: await stage.graphOf(model),
    pictures: join(stage.folder, 'pictures'),
    width,
    height,
  };
  let best: { settings: Omit<BareLoopSettings, 'seconds'>; perSecond: number } | null = null;
  for (const batch of [1, 4, 8]) {
    for (const decodesInFlight of [1, 2, 4]) {
      for (const threads of [1, 2]) {
        const settings = { ...fixed, batch, decodesInFlight, threads };
        const perSecond = await loop({ ...settings, seconds: sweepSeconds });
        progress(
          `bare loop, batch ${batch}, ${decodesInFlight} decodes in flight, ${threads} threads: ${figure(perSecond)} images/s`,
        );
        if (!best || perSecond > best.perSecond) best = { settings, perSecond };
      }
    }
  }
  const { batch, decodesInFlight, threads } = best!.settings;
  return {
    name: `bare loop (batch ${batch}, ${decodesInFlight} decodes in flight, ${threads} threads)`,
    measure: (seconds) => loop({ ...best!.settings, seconds }),
  };
}

async function loop(settings: BareLoopSettings): Promise<number> {
  const [program, ...args] = script(new URL('bare-loop.ts', import.meta.url).href, JSON.stringify(settings));
  const child = spawn(program!, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the bare loop ended with exit code ${code}`);
  return Number(text);
}
