import { figuresOf, median } from './load/figures.ts';
import { foveaStream, requestsAbout } from './load/fovea-requests.ts';
import { withReceipt } from './load/stages.ts';
import type { Generator } from './load/start-generator.ts';
import { chooseModel, mobileNetV2 } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { columns, figure, tell } from './report.ts';
import { closed } from './saturation.ts';
import { progress } from './service.ts';
import { onStage } from './stage.ts';
import { offerUnbatched } from './unbatched.ts';

const USAGE = `npm run bench -- batching [options]

Images a second by the number of clients that ask one picture after the other, with batches as the service makes them, over the
same model's where each image runs by itself. Both are measured in turn, on one running service.

${COMMON_OPTIONS}`;

const CONCURRENCIES = [1, 2, 4, 8, 16, 32, 64];

interface Measured {
  readonly imagesPerSecond: number;
  readonly meanBatch: number;
}

interface AtConcurrency {
  readonly clients: number;
  readonly batched: number;
  readonly unbatched: number;
  readonly ratio: number;
  /** Images a batch, on average over the batches. */
  readonly meanBatch: number;
}

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 4, rounds: 3 });
  if (!options) return;
  const model = await chooseModel(mobileNetV2, options.manifest);
  await onStage(async (stage) => {
    const pictures = await stage.pictures(128, options.pictures);
    await stage.import(model);
    // What comes with Fovea is in the database only once a service has started on it.
    if (model.isBuiltIn) await (await stage.api()).stop();
    const single = await offerUnbatched(stage.databaseUrl, model);
    const { url } = await stage.api();
    const { client: key } = await stage.tenants([{ name: 'client' }]);
    const generator = await stage.generator();
    const bodies = { batched: requestsAbout(model, pictures), unbatched: requestsAbout(single, pictures) };
    const measure = (kind: keyof typeof bodies, clients: number) =>
      measured(generator, foveaStream(url, key!, bodies[kind], closed(clients)), options.seconds);

    const rounds: { batched: Measured; unbatched: Measured }[][] = [];
    for (let round = 1; round <= options.rounds; round++) {
      const atConcurrencies: { batched: Measured; unbatched: Measured }[] = [];
      for (const clients of CONCURRENCIES) {
        const batched = await measure('batched', clients);
        const unbatched = await measure('unbatched', clients);
        atConcurrencies.push({ batched, unbatched });
        progress(
          `round ${round} of ${options.rounds}, ${clients} clients: ${figure(batched.imagesPerSecond)} images/s in batches of ${figure(batched.meanBatch)}, ${figure(unbatched.imagesPerSecond)} unbatched`,
        );
      }
      rounds.push(atConcurrencies);
    }
    const byConcurrency = CONCURRENCIES.map((clients, index): AtConcurrency => {
      const over = (value: (at: { batched: Measured; unbatched: Measured }) => number) =>
        median(rounds.map((round) => value(round[index]!)));
      return {
        clients,
        batched: over(({ batched }) => batched.imagesPerSecond),
        unbatched: over(({ unbatched }) => unbatched.imagesPerSecond),
        ratio: over(({ batched, unbatched }) => batched.imagesPerSecond / unbatched.imagesPerSecond),
        meanBatch: over(({ batched }) => batched.meanBatch),
      };
    });
    const name = `${model.name}@${model.version}`;
    tell(
      options.json,
      { model: name, byConcurrency },
      `${name}\n${columns(
        ['clients', 'images/s', 'unbatched', 'over', 'images a batch'],
        byConcurrency.map(({ clients, batched, unbatched, ratio, meanBatch }) => [
          String(clients),
          batched,
          unbatched,
          ratio,
          meanBatch,
        ]),
      )}`,
    );
  }).finally(model.remove);
}

async function measured(
  generator: Generator,
  stream: ReturnType<typeof foveaStream>,
  seconds: number,
): Promise<Measured> {
  const run = await generator.run({ stream }, seconds);
  const { imagesPerSecond } = figuresOf(run, 'stream', (seconds * 1000) / 5);
  const receipts = withReceipt(run.samples.stream!).map(({ receipt }) => receipt);
  // Each image is its share of a batch.
  const batches = receipts.reduce((sum, { batchSize }) => sum + 1 / batchSize, 0);
  return { imagesPerSecond, meanBatch: receipts.length / batches };
}
