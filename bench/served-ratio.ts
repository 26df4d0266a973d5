import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readManifest } from '../src/models/read-manifest.ts';
import type { BareLoopSettings } from './bare-loop.ts';
import { writePictures } from './pictures.ts';
import { artifactOf, createKeys, fovea, load, node, progress, requestBody, startService } from './service.ts';

const USAGE = `npm run bench -- served-ratio [--manifest <file>] [--pictures <folder>] [--clients n] [--seconds n] [--json]

Images per second that the whole service answers and books over GraphQL, over what a bare loop of the same engine does with
the same JPEGs: the best of a sweep over batch size, decodes in flight and threads, measured in turn with the service.
`;

const PICTURES = 256;
const ROUNDS = 3;
const builtIn = fileURLToPath(new URL('../models/shapes/manifest.json', import.meta.url));
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      manifest: { type: 'string', default: builtIn },
      pictures: { type: 'string' },
      clients: { type: 'string', default: '32' },
      seconds: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const seconds = Number(values.seconds);
  const folder = mkdtempSync(join(tmpdir(), 'fovea-bench-'));
  const service = await startService(join(folder, 'data'));
  try {
    const keys = createKeys(service.dataDir);
    progress(`drawing ${PICTURES} distinct pictures of 500 × 375`);
    const pictures = join(folder, 'pictures');
    await writePictures(pictures, PICTURES, values.pictures ?? null);
    const { manifest } = await readManifest(values.manifest);
    if (values.manifest !== builtIn) fovea(service.dataDir, 'models', 'import', values.manifest, '--json');
    const graph = artifactOf(service.dataDir, `${manifest.name}@${manifest.version}`);

    const { width, height } = manifest.input;
    const settings = { graph, pictures, width, height };
    const best = await sweep({ ...settings, seconds: Math.max(1, seconds / 3) });
    const bodies = readdirSync(pictures).map((name) =>
      requestBody(manifest.task, manifest.name, readFileSync(join(pictures, name))),
    );

    const bare: number[] = [];
    const served: number[] = [];
    const drive = (forSeconds: number) => load(service.url, keys, bodies, Number(values.clients), forSeconds);
    await drive(1);
    for (let round = 1; round <= ROUNDS; round++) {
      bare.push(await bareLoop({ ...best, seconds }));
      served.push(await drive(seconds));
      progress(
        `round ${round} of ${ROUNDS}: bare ${bare.at(-1)!.toFixed(1)}, served ${served.at(-1)!.toFixed(1)} images/s`,
      );
    }
    report(values.json, {
      model: `${manifest.name}@${manifest.version}`,
      clients: Number(values.clients),
      bare: {
        imagesPerSecond: median(bare),
        batch: best.batch,
        decodesInFlight: best.decodesInFlight,
        threads: best.threads,
      },
      served: { imagesPerSecond: median(served) },
      ratio: median(served) / median(bare),
    });
  } finally {
    await service.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Result {
  readonly model: string;
  readonly clients: number;
  readonly bare: { imagesPerSecond: number; batch: number; decodesInFlight: number; threads: number };
  readonly served: { imagesPerSecond: number };
  readonly ratio: number;
}

function report(json: boolean, result: Result): void {
  if (json) return void process.stdout.write(`${JSON.stringify(result)}\n`);
  const { model, clients, bare, served, ratio } = result;
  process.stdout.write(
    [
      `${model}, JPEG 500 × 375, no two alike; medians of ${ROUNDS} rounds`,
      `  bare loop  ${bare.imagesPerSecond.toFixed(1).padStart(8)} images/s  (batch ${bare.batch}, ${bare.decodesInFlight} decodes in flight, ${bare.threads} threads: the best of the sweep)`,
      `  served     ${served.imagesPerSecond.toFixed(1).padStart(8)} images/s  (${clients} clients, GraphQL, every image booked)`,
      `  ratio      ${ratio.toFixed(3).padStart(8)}`,
      '',
    ].join('\n'),
  );
}

async function sweep(
  settings: Omit<BareLoopSettings, 'batch' | 'decodesInFlight' | 'threads'>,
): Promise<BareLoopSettings> {
  let best: { settings: BareLoopSettings; imagesPerSecond: number } | null = null;
  for (const batch of [1, 4, 8]) {
    for (const decodesInFlight of [1, 2, 4]) {
      for (const threads of [1, 2]) {
        const candidate = { ...settings, batch, decodesInFlight, threads };
        const imagesPerSecond = await bareLoop(candidate);
        progress(
          `bare loop, batch ${batch}, ${decodesInFlight} decodes in flight, ${threads} threads: ${imagesPerSecond.toFixed(1)} images/s`,
        );
        if (!best || imagesPerSecond > best.imagesPerSecond) best = { settings: candidate, imagesPerSecond };
      }
    }
  }
  return best!.settings;
}

async function bareLoop(settings: BareLoopSettings): Promise<number> {
  const [program, ...flags] = node;
  const child = spawn(program, [...flags, file('bare-loop.ts'), JSON.stringify(settings)], {
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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
