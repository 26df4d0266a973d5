import { type Figures, figuresOf, median, sumOf } from './load/figures.ts';
import { foveaStream, requestsAbout } from './load/fovea-requests.ts';
import { type Metrics, readMetrics, total, watchMetrics } from './load/metrics.ts';
import { withReceipt } from './load/stages.ts';
import type { Run } from './load/start-generator.ts';
import type { Sample } from './load/stream.ts';
import { chooseModel, mobileNetV2 } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { columns, figure, outcomesText, tell } from './report.ts';
import { closed, open, SATURATING_CLIENTS, saturate } from './saturation.ts';
import { progress } from './service.ts';
import { onStage } from './stage.ts';

const USAGE = `npm run bench -- overload [options]

Goodput: images a second that are answered within their deadline, at 1, 3 and 10 times what the service answers when it is
saturated, over that, which is measured before and after each round. Requests come at random moments (open loop), of four tenants.
Beside it, what must not be: answers after the deadline, more images admitted than the queue's bound; and the share of the workers'
batches that answered nobody.

${COMMON_OPTIONS}  --deadline n         of each request, milliseconds (2000)
  --requests n         offered at each load, in the place of --seconds
  --load n             this one alone
`;

const LOADS = [1, 3, 10];
const TENANTS = ['one', 'two', 'three', 'four'].map((name) => ({ name }));
const QUEUE_BOUND = 1_024;

interface AtLoad {
  readonly load: number;
  readonly offeredPerSecond: number;
  readonly goodput: number;
  readonly violations: Violations;
  /** Of the batches that the workers ran, the part that carried images of requests which were not answered. */
  readonly batchesForNobody: number;
  /** Of the API process's event loop, in the worst half second. */
  readonly eventLoopP99Ms: number;
  readonly figures: Figures;
}

interface Violations {
  readonly answeredLate: number;
  readonly queueBoundExceeded: number;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 10, rounds: 3, deadline: 2_000, requests: 0, load: 0 });
  if (!options) return;
  const model = await chooseModel(mobileNetV2, options.manifest);
  await onStage(async (stage) => {
    const pictures = await stage.pictures(128, options.pictures);
    const bodies = requestsAbout(model, pictures, { timeoutMs: options.deadline });
    await stage.import(model);
    const { url } = await stage.api({ FOVEA_MAX_QUEUED_IMAGES: String(QUEUE_BOUND) });
    const keys = Object.values(await stage.tenants(TENANTS));
    const generator = await stage.generator();
    const clients = closed(SATURATING_CLIENTS);
    const saturated = () =>
      saturate(generator, { all: foveaStream(url, keys, bodies, clients) }, options.seconds);
    const saturations = [await saturated()];
    const loads = options.load > 0 ? [options.load] : LOADS;
    const results: AtLoad[][] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const atLoads: AtLoad[] = [];
      for (const load of loads) {
        const offered = load * saturations.at(-1)!;
        const seconds = options.requests > 0 ? options.requests / offered : options.seconds;
        const before = await readMetrics(url);
        let mostAdmitted = 0;
        let eventLoopP99Ms = 0;
        const watching = watchMetrics(url, 500, (metrics) => {
          mostAdmitted = Math.max(mostAdmitted, total(metrics, 'fovea_images_admitted'));
          eventLoopP99Ms = Math.max(
            eventLoopP99Ms,
            1000 * total(metrics, 'nodejs_eventloop_lag_p99_seconds'),
          );
        });
        const run = await generator.run(
          { all: foveaStream(url, keys, bodies, open(offered, 10 * round + load)) },
          seconds,
        );
        await watching.stop();
        const batches = batchesBetween(before, await readMetrics(url));
        const { deadline } = options;
        const result = judge(run, { load, offered, deadline, mostAdmitted, eventLoopP99Ms, batches });
        progress(
          `round ${round} of ${options.rounds}, ${load}×: ${figure(result.goodput)} images/s in time, ${outcomesText(result.figures.outcomes)}`,
        );
        atLoads.push(result);
      }
      results.push(atLoads);
      saturations.push(await saturated());
    }
    const around = results.map((_, index) => (saturations[index]! + saturations[index + 1]!) / 2);
    const told = loads.map((_, index) =>
      overRounds(
        results.map((round) => round[index]!),
        around,
      ),
    );
    const result = {
      model: `${model.name}@${model.version}`,
      ...{ saturations, deadlineMs: options.deadline, loads: told, rounds: results },
    };
    tell(
      options.json,
      result,
      [
        `${result.model}; saturated at ${saturations.map(figure).join(', ')} images/s; deadline ${options.deadline} ms`,
        inWords(told, results.at(-1)!),
      ].join('\n'),
    );
  }).finally(model.remove);
}

function batchesBetween(before: Metrics, after: Metrics): number {
  const name = 'fovea_worker_batches_total';
  return total(after, name) - total(before, name);
}

interface Circumstances {
  readonly load: number;
  readonly offered: number;
  readonly deadline: number;
  readonly mostAdmitted: number;
  readonly eventLoopP99Ms: number;
  readonly batches: number;
}

function judge(run: Run, circumstances: Circumstances): AtLoad {
  const { load, offered, deadline, mostAdmitted, eventLoopP99Ms, batches } = circumstances;
  const samples = run.samples.all!;
  const answered = samples.filter(({ outcome }) => outcome === 'ANSWERED');
  const inTime = answered.filter(({ dueAt, doneAt }) => doneAt - dueAt <= deadline && doneAt <= run.to);
  return {
    load,
    offeredPerSecond: offered,
    goodput: sumOf(inTime.map(({ images }) => images)) / ((run.to - run.from) / 1000),
    violations: {
      // From sending, as the service cannot know how late its client was by itself.
      answeredLate: answered.filter(({ sentAt, doneAt }) => doneAt - sentAt > deadline).length,
      queueBoundExceeded: Math.max(0, mostAdmitted - QUEUE_BOUND),
    },
    batchesForNobody: Math.max(0, 1 - batchesOf(samples) / batches),
    eventLoopP99Ms,
    figures: figuresOf(run, 'all'),
  };
}

/** How many batches the answers came in: each image is its share of one. */
function batchesOf(samples: readonly Sample[]): number {
  return sumOf(withReceipt(samples).map(({ receipt }) => 1 / receipt.batchSize));
}

interface OverRounds {
  readonly load: number;
  readonly goodput: number;
  readonly overSaturation: number;
  readonly violations: number;
  readonly batchesForNobody: number;
  readonly p99: number;
  readonly eventLoopP99Ms: number;
}

/** `saturations`: around each of the rounds. */
function overRounds(rounds: readonly AtLoad[], saturations: readonly number[]): OverRounds {
  return {
    load: rounds[0]!.load,
    goodput: median(rounds.map(({ goodput }) => goodput)),
    overSaturation: median(rounds.map(({ goodput }, index) => goodput / saturations[index]!)),
    violations: sumOf(rounds.flatMap(({ violations }) => Object.values(violations))),
    batchesForNobody: median(rounds.map((round) => round.batchesForNobody)),
    p99: median(rounds.map(({ figures }) => figures.p99)),
    eventLoopP99Ms: median(rounds.map((round) => round.eventLoopP99Ms)),
  };
}

function inWords(loads: readonly OverRounds[], last: readonly AtLoad[]): string {
  return columns(
    [
      ...['load', 'goodput', 'of saturation', 'violations', 'batches for nobody', 'p99 ms'],
      ...['event loop ms', 'of the last round'],
    ],
    loads.map(
      ({ load, goodput, overSaturation, violations, batchesForNobody, p99, eventLoopP99Ms }, index) => [
        ...[`${load}×`, goodput, overSaturation, violations, batchesForNobody, p99, eventLoopP99Ms],
        outcomesText(last[index]!.figures.outcomes),
      ],
    ),
  );
}
