import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { providers } from '../../src/config/config.ts';
import { decodeImage } from '../../src/inference/images/decode.ts';
import { type Probe, probeProvider } from '../../src/inference/providers/probe.ts';
import type { Provider } from '../../src/inference/providers/provider.ts';
import type { Variant } from '../../src/inference/variant.ts';
import type { ServedModel } from '../../src/models/registry.ts';
import { writePictures } from '../pictures.ts';
import { createKeys, load, progress, requestBody, startService } from '../service.ts';
import { compare, measureBatches, onProvider } from './engine.ts';
import { describeMachine } from './machine.ts';
import { importModels } from './models.ts';
import { inMarkdown, type Report, type Result } from './report.ts';

const USAGE = `npm run bench -- gpu [--out <folder>] [--models <folder>] [--pictures <folder>] [--providers <names>] [--seconds n] [--clients n]

What of cpu, webgpu, cuda and tensorrt computes on this machine, whether it answers as the CPU does, how fast it is by
batch size, and what the whole service makes of it. Writes report.md and report.json into the folder (gpu-report).
`;

const PICTURES = 64;
const COMPARED = 4;

interface Settings {
  readonly seconds: number;
  readonly clients: number;
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      out: { type: 'string', default: 'gpu-report' },
      models: { type: 'string' },
      pictures: { type: 'string' },
      providers: { type: 'string', default: providers.join(',') },
      seconds: { type: 'string', default: '5' },
      clients: { type: 'string', default: '32' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const settings = { seconds: Number(values.seconds), clients: Number(values.clients) };
  const folder = mkdtempSync(join(tmpdir(), 'fovea-bench-'));
  try {
    const probes: Probe[] = [];
    for (const name of values.providers.split(',') as Provider[]) {
      progress(`trying ${name}`);
      probes.push(await probeProvider(name));
    }
    process.env.FOVEA_DATA_DIR = join(folder, 'data');
    const models = await importModels(values.models ?? null);
    progress(`drawing ${PICTURES} pictures of 500 × 375`);
    await writePictures(join(folder, 'pictures'), PICTURES, values.pictures ?? null);
    const pictures = readdirSync(join(folder, 'pictures')).map((name) =>
      readFileSync(join(folder, 'pictures', name)),
    );
    const works = probes.filter((probe) => probe.works).map(({ provider }) => provider);
    const results = await measureAll(works, models, pictures, settings);
    const report: Report = { date: new Date().toISOString(), machine: describeMachine(), probes, results };
    const out = resolve(values.out);
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    writeFileSync(join(out, 'report.md'), inMarkdown(report));
    process.stdout.write(inMarkdown(report));
    progress(`written to ${out}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The engine first, each provider with the machine to itself; then the service on each. */
async function measureAll(
  works: readonly Provider[],
  models: readonly ServedModel[],
  jpegs: readonly Buffer[],
  settings: Settings,
): Promise<Result[]> {
  const dataDir = process.env.FOVEA_DATA_DIR!;
  const artifacts = join(dataDir, 'artifacts');
  const results: Result[] = [];
  for (const provider of works) {
    for (const model of models) {
      progress(`${model.name} on ${provider}`);
      results.push(await measureEngine(artifacts, provider, model, jpegs, settings));
    }
  }
  const keys = createKeys(dataDir, settings.clients);
  for (const provider of works) {
    progress(`the service on ${provider}`);
    const service = await startService(dataDir, { FOVEA_PROVIDERS: provider });
    try {
      for (const [index, result] of results.entries()) {
        const model = models.find(({ name }) => name === result.model)!;
        if (result.provider !== provider || result.rates.length === 0) continue;
        results[index] = {
          ...result,
          ...(await measureService(service.url, keys, model, result, jpegs, settings)),
        };
      }
    } finally {
      await service.stop();
    }
  }
  return results;
}

async function measureEngine(
  artifacts: string,
  provider: Provider,
  { name, variants }: ServedModel,
  jpegs: readonly Buffer[],
  { seconds }: Settings,
): Promise<Result> {
  const variant = variants[0]!;
  const result = { model: name, provider, served: null, fault: null };
  try {
    const pictures = await Promise.all(jpegs.slice(0, 32).map((jpeg) => pixelsOf(jpeg, variant)));
    return await onProvider(artifacts, provider, (worker) =>
      onProvider(artifacts, 'cpu', async (cpu) => {
        const agreement = await compare(worker, cpu, variant, pictures.slice(0, COMPARED));
        return { ...result, agreement, rates: await measureBatches(worker, variant, pictures, seconds) };
      }),
    );
  } catch (error) {
    const agreement = { device: provider, pictures: 0, distance: null };
    return { ...result, agreement, rates: [], fault: (error as Error).message };
  }
}

async function measureService(
  url: string,
  keys: readonly string[],
  { name, task, variants }: ServedModel,
  { rates }: Result,
  jpegs: readonly Buffer[],
  { seconds, clients }: Settings,
): Promise<Pick<Result, 'served' | 'fault'>> {
  const variant = variants[0]!;
  const bodies = jpegs.map((jpeg) => requestBody(task, name, jpeg));
  try {
    await load(url, keys, bodies, clients, seconds / 4);
    const decoded = await decodeRate(jpegs, variant, seconds);
    const served = await load(url, keys, bodies, clients, seconds);
    const made = rates.filter(({ batch }) => batch <= variant.maxBatch);
    const computed = Math.max(...made.map(({ imagesPerSecond }) => imagesPerSecond));
    return {
      served: { decoded, computed, served, ratio: served / Math.min(decoded, computed) },
      fault: null,
    };
  } catch (error) {
    return { served: null, fault: `the service: ${(error as Error).message}` };
  }
}

async function decodeRate(jpegs: readonly Buffer[], variant: Variant, seconds: number): Promise<number> {
  const started = performance.now();
  const elapsed = () => (performance.now() - started) / 1000;
  let decoded = 0;
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      do {
        await pixelsOf(jpegs[decoded % jpegs.length]!, variant);
        decoded += 1;
      } while (elapsed() < seconds);
    }),
  );
  return decoded / elapsed();
}

async function pixelsOf(jpeg: Buffer, { input }: Variant): Promise<Uint8Array> {
  return (await decodeImage(jpeg, input)).pixels;
}
