import { type Figures, figuresOf, median } from './load/figures.ts';
import { foveaStream, requestsAbout } from './load/fovea-requests.ts';
import { percentileOfStages, type Stages, withReceipt } from './load/stages.ts';
import type { Generator } from './load/start-generator.ts';
import type { Sample, Stream } from './load/stream.ts';
import { chooseModel, mobileNetV2 } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { paperRatio } from './paper-neighbour.ts';
import type { Started } from './processes.ts';
import { columns, figure, outcomesText, tell } from './report.ts';
import { closed, open, SATURATING_CLIENTS, saturate } from './saturation.ts';
import { progress } from './service.ts';
import { onStage, type Stage } from './stage.ts';
import { ANY_CONCURRENCY } from './tenants.ts';

const USAGE = `npm run bench -- noisy-neighbour [options]

A tenant's 99th percentile while another of the same weight offers ten times its share, over the same tenant's alone. Both
come at random moments (open loop); latency counts from when a request was due. The victim offers half of its share, and the
shares are halves of what the service answers when it is saturated. Beside it means: once the neighbour has been there for --settle
seconds; what they were like is told as well, as the onset. Beside the ratio stands the scheduler's own, simulated on a device that takes
its time for images alone, with batches as large as the victim's were.

${COMMON_OPTIONS}  --times n            what the neighbour offers, in its shares (10)
  --load n             what the victim offers, in its shares (0.5)
  --settle n           seconds of the neighbour before the victim's count (10)
  --concurrency n      requests in flight that their plan allows each of them (no limit but the queue's)
  --processes n        2: the neighbour asks another API process, over one database and one shared worker (1)
`;

const DEFAULTS = {
  ...{ seconds: 10, rounds: 3, times: 10, load: 0.5, settle: 10 },
  ...{ concurrency: ANY_CONCURRENCY, processes: 1 },
};

interface Crowds {
  readonly victim: Generator;
  readonly neighbour: Generator;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, DEFAULTS);
  if (!options) return;
  const model = await chooseModel(mobileNetV2, options.manifest);
  const { concurrency } = options;
  await onStage(async (stage) => {
    const bodies = requestsAbout(model, await stage.pictures(128, options.pictures));
    await stage.import(model);
    const [home, elsewhere] = await startProcesses(stage, options.processes);
    const keys = await stage.tenants(['victim', 'neighbour'].map((name) => ({ name, concurrency })));
    const ofVictim = (arrivals: Stream['arrivals']) => foveaStream(home.url, keys.victim!, bodies, arrivals);
    const ofNeighbour = (arrivals: Stream['arrivals']) =>
      foveaStream(elsewhere.url, keys.neighbour!, bodies, arrivals);
    // A process each, so that the neighbour's clients do not delay the victim's.
    const crowds: Crowds = { victim: await stage.generator(), neighbour: await stage.generator() };

    const half = closed(SATURATING_CLIENTS / 2);
    const saturation = await saturate(
      crowds.victim,
      { victim: ofVictim(half), neighbour: ofNeighbour(half) },
      options.seconds,
    );
    const share = saturation / 2;
    const alone: Figures[] = [];
    const onset: Figures[] = [];
    const beside: Figures[] = [];
    const neighbour: Figures[] = [];
    const besideSamples: Sample[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const victim = ofVictim(open(options.load * share, round));
      alone.push(figuresOf(await crowds.victim.run({ victim }, options.seconds), 'victim'));
      const noise = ofNeighbour(open(options.times * share, 1_000 + round));
      const both = options.settle + options.seconds;
      const [ofOne, ofOther] = await Promise.all([
        crowds.victim.run({ victim }, both),
        crowds.neighbour.run({ neighbour: noise }, both),
      ]);
      const settleMs = options.settle * 1000;
      const isSettled = ({ dueAt }: Sample) => dueAt >= ofOne.from + settleMs;
      onset.push(
        figuresOf(
          {
            ...ofOne,
            to: ofOne.from + settleMs,
            samples: { victim: ofOne.samples.victim!.filter((sample) => !isSettled(sample)) },
          },
          'victim',
        ),
      );
      beside.push(figuresOf(ofOne, 'victim', settleMs));
      besideSamples.push(...ofOne.samples.victim!.filter(isSettled));
      neighbour.push(figuresOf(ofOther, 'neighbour', settleMs));
      progress(
        `round ${round} of ${options.rounds}: p99 alone ${figure(alone.at(-1)!.p99)} ms, at the onset ${figure(onset.at(-1)!.p99)} ms, beside ${figure(beside.at(-1)!.p99)} ms`,
      );
    }
    const result = {
      model: `${model.name}@${model.version}`,
      ...{ processes: options.processes, concurrency },
      saturation,
      alone: { p50: medianOf(alone, 'p50'), p99: medianOf(alone, 'p99') },
      onset: { p50: medianOf(onset, 'p50'), p99: medianOf(onset, 'p99') },
      beside: { p50: medianOf(beside, 'p50'), p99: medianOf(beside, 'p99') },
      ratio: medianOf(beside, 'p99') / medianOf(alone, 'p99'),
      paperRatio: paperRatio({
        imageMs: 1000 / saturation,
        batchSize: median(withReceipt(besideSamples).map(({ receipt }) => receipt.batchSize)),
        load: options.load / 2,
      }),
      besideStagesMs: {
        p50: percentileOfStages(besideSamples, 50),
        p99: percentileOfStages(besideSamples, 99),
      },
      rounds: { alone, onset, beside, neighbour },
    };
    tell(options.json, result, inWords(result, options));
  }).finally(model.remove);
}

/** The processes that the victim and the neighbour ask: one for both, or one each. */
async function startProcesses(stage: Stage, processes: number): Promise<[Started, Started]> {
  if (processes < 2) {
    const api = await stage.api();
    return [api, api];
  }
  const worker = await stage.worker();
  const settings = { FOVEA_WORKERS: worker.url };
  const first = await stage.api(settings);
  return [first, await stage.api(settings)];
}

function medianOf(rounds: readonly Figures[], name: 'p50' | 'p99' | 'imagesPerSecond' | 'lateP99'): number {
  return median(rounds.map((round) => round[name]));
}

interface Result {
  readonly model: string;
  readonly processes: number;
  readonly saturation: number;
  readonly ratio: number;
  readonly paperRatio: number;
  readonly besideStagesMs: { readonly p50: Stages; readonly p99: Stages };
  readonly rounds: Readonly<Record<'alone' | 'onset' | 'beside' | 'neighbour', readonly Figures[]>>;
}

function inWords(
  { model, processes, saturation, ratio, paperRatio, besideStagesMs, rounds }: Result,
  { times, load, settle, concurrency }: typeof DEFAULTS,
): string {
  const row = (name: string, figures: readonly Figures[]) => [
    name,
    medianOf(figures, 'imagesPerSecond'),
    medianOf(figures, 'p50'),
    medianOf(figures, 'p99'),
    medianOf(figures, 'lateP99'),
    outcomesText(figures.at(-1)!.outcomes),
  ];
  const where = processes < 2 ? 'one API process' : 'an API process each, one worker';
  return [
    `${model}, ${where}; saturated at ${figure(saturation)} images/s; the victim offers ${load}, the neighbour ${times} of its share; the onset is its first ${figure(settle)} s${concurrency < ANY_CONCURRENCY ? `; at most ${concurrency} requests in flight each` : ''}`,
    columns(
      ['', 'images/s', 'p50 ms', 'p99 ms', 'sent late', 'of the last round'],
      [
        row('victim alone', rounds.alone),
        row('victim at the onset', rounds.onset),
        row('victim beside', rounds.beside),
        row('neighbour', rounds.neighbour),
      ],
    ),
    columns(
      ["the victim's time beside, ms", 'p50', 'p99'],
      (Object.keys(besideStagesMs.p50) as (keyof Stages)[]).map((stage) => [
        `  ${stage}`,
        besideStagesMs.p50[stage],
        besideStagesMs.p99[stage],
      ]),
    ),
    `p99 beside / alone: ${figure(ratio)}; of the scheduler by itself, on paper: ${figure(paperRatio)}`,
  ].join('\n');
}
