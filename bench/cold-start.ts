import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { generateApiKey } from '../src/tenants/key-format.ts';
import { median } from './load/figures.ts';
import { askAbout } from './load/fovea-requests.ts';
import { readAnswer } from './load/read-answer.ts';
import { type BenchModel, builtInModel, chooseModel, light, mobileNetV2 } from './models.ts';
import { COMMON_OPTIONS, readOptions } from './options.ts';
import { command, type Environment, type Started, startApi } from './processes.ts';
import { columns, tell } from './report.ts';
import { progress } from './service.ts';
import { onStage, type Stage } from './stage.ts';

const USAGE = `npm run bench -- cold-start [options]

Milliseconds from the start of the service's process to readiness and to the first answer, in an empty folder and in one that it
served before, with the PostgreSQL that it brings; from the start of \`models import\` beside a running service to the first
answer of the model; and of the first answer of a model that no worker has loaded, beside the second.

${COMMON_OPTIONS}`;

interface Times {
  readonly firstReady: number;
  readonly firstAnswer: number;
  readonly againReady: number;
  readonly againAnswer: number;
  readonly importAndAnswer: number;
  readonly unloadedAnswer: number;
  readonly secondAnswer: number;
}

const NAMES: Readonly<Record<keyof Times, string>> = {
  firstReady: 'first start of all: ready',
  firstAnswer: 'first start of all: first answer',
  againReady: 'later start: ready',
  againAnswer: 'later start: first answer',
  importAndAnswer: 'import beside a running service: first answer',
  unloadedAnswer: 'model that is not loaded: first answer',
  secondAnswer: 'the same: second answer',
};

export async function run(args: string[]): Promise<void> {
  const options = readOptions(args, USAGE, { seconds: 1, rounds: 3 });
  if (!options) return;
  const shapes = await builtInModel('shapes');
  const imported = await chooseModel(mobileNetV2, options.manifest);
  const own = await chooseModel(light);
  await onStage(async (stage) => {
    const [picture] = await stage.pictures(1, options.pictures);
    const rounds: Times[] = [];
    for (let round = 1; round <= options.rounds; round++) {
      rounds.push(await measure(stage, `round-${round}`, { picture: picture!, shapes, imported, own }));
      progress(`round ${round} of ${options.rounds}: ready after ${rounds.at(-1)!.firstReady.toFixed(0)} ms`);
    }
    const names = Object.keys(NAMES) as (keyof Times)[];
    const times = Object.fromEntries(names.map((name) => [name, median(rounds.map((times) => times[name]))]));
    tell(
      options.json,
      { imported: imported.name, unloaded: own.name, ms: times },
      columns(
        [`${imported.name} imported, ${own.name} not loaded`, 'ms'],
        names.map((name) => [NAMES[name], Math.round(times[name]!)]),
      ),
    );
  }).finally(() => {
    for (const model of [imported, own]) model.remove();
  });
}

interface Cast {
  readonly picture: Buffer;
  /** In every installation. */
  readonly shapes: BenchModel;
  readonly imported: BenchModel;
  /** One tenant's, which no start loads. */
  readonly own: BenchModel;
}

async function measure(stage: Stage, name: string, { picture, shapes, imported, own }: Cast): Promise<Times> {
  const dataDir = join(stage.folder, name);
  mkdirSync(dataDir);
  const key = generateApiKey().text;
  const environment = { FOVEA_DATA_DIR: dataDir, FOVEA_INIT_API_KEY: key };
  const body = (model: BenchModel) => askAbout(model, { base64: picture.toString('base64') });

  const start = async () => {
    const from = performance.now();
    const api = stage.own('API', await startApi(environment));
    const ready = performance.now() - from;
    await ask(api, key, body(shapes));
    return { api, ready, answer: performance.now() - from };
  };
  const first = await start();
  await first.api.stop();
  const again = await start();
  const importAndAnswer = await timed(async () => {
    if (!imported.isBuiltIn) await importModel(environment, imported);
    await ask(again.api, key, body(imported));
  });
  await again.api.stop();
  await importModel(environment, own, '--tenant', 'Operator');
  const last = await start();
  const unloadedAnswer = await timed(() => ask(last.api, key, body(own)));
  const secondAnswer = await timed(() => ask(last.api, key, body(own)));
  await last.api.stop();
  return {
    ...{ firstReady: first.ready, firstAnswer: first.answer },
    ...{ againReady: again.ready, againAnswer: again.answer },
    ...{ importAndAnswer, unloadedAnswer, secondAnswer },
  };
}

async function importModel(
  environment: Environment,
  { manifest }: BenchModel,
  ...to: string[]
): Promise<void> {
  await command(environment, 'models', 'import', manifest, ...to, '--json');
}

async function ask({ url }: Started, key: string, body: Buffer): Promise<void> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
  const response = await request(`${url}/graphql`, { method: 'POST', headers, body });
  const text = await response.body.text();
  const { outcome } = readAnswer('fovea', response.statusCode, text);
  if (outcome !== 'ANSWERED') throw new Error(`the service answered ${outcome}: ${text}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}
