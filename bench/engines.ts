import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ArtifactStore } from '../src/inference/artifact-store.ts';
import { PIXEL_INPUT, writeBundle } from '../src/inference/bundle.ts';
import { elementsOf } from '../src/inference/oip/elements.ts';
import { WorkerProcess, type WorkerProcessOptions } from '../src/inference/pool/worker-process.ts';
import { probeProvider } from '../src/inference/providers/probe.ts';
import type { Provider } from '../src/inference/providers/provider.ts';
import type { ModelFormat } from '../src/inference/variant.ts';
import { proofPictures } from '../src/models/proof-pictures.ts';
import { layersCnn, onnxCnn, preprocessing, SIZE } from './seed-cnn.ts';

const USAGE = `npm run bench -- engines [--seconds n] [--threads n] [--json]

Images per second of one network, the reference CNN with the same weights, in every engine that is there: ONNX Runtime on the
CPU, WebGPU, CUDA and TensorRT as a graph of ONNX, TensorFlow natively and on WebAssembly as layers of TensorFlow.js. Each in
a worker process, pre-processing inside, measured in turn, three rounds; beside its speed, how far its answers are from those
of ONNX Runtime on the CPU.
`;

const BATCHES = [1, 8] as const;
const ROUNDS = 3;
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

interface Contender {
  readonly engine: string;
  readonly artifact: Artifact;
  readonly options: Pick<WorkerProcessOptions, 'compute' | 'tensorFlow'>;
}

interface Artifact {
  readonly format: ModelFormat;
  readonly sha256: string;
  readonly externalData: readonly string[];
  readonly inputTensor: string;
}

interface Measured {
  readonly engine: string;
  readonly device: string;
  /** By batch size: milliseconds the engine says it computed for one image, the median of the rounds. */
  readonly msPerImage: Readonly<Record<number, number>>;
  /** The furthest probability from the reference's. */
  readonly distance: number;
}

export async function run(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '3' },
      threads: { type: 'string', default: '2' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const folder = await mkdtemp(join(tmpdir(), 'fovea-engines-'));
  const running: Running[] = [];
  const missing: { engine: string; reason: string }[] = [];
  try {
    for (const contender of await contenders(new ArtifactStore(folder), missing)) {
      progress(`starting ${contender.engine}`);
      const started = await start(contender, folder, Number(values.threads)).catch((error: Error) => {
        missing.push({ engine: contender.engine, reason: error.message });
        return null;
      });
      if (started) running.push(started);
    }
    const measured = await measureAll(running, Number(values.seconds) * 1000);
    report(values.json, measured, missing);
  } finally {
    for (const { worker } of running) worker.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function contenders(
  store: ArtifactStore,
  missing: { engine: string; reason: string }[],
): Promise<Contender[]> {
  const { graph, inputTensor } = onnxCnn();
  const onnx: Artifact = { format: 'onnx', sha256: await store.put(graph), externalData: [], inputTensor };
  const files: Record<string, string> = {};
  for (const [place, bytes] of Object.entries(layersCnn())) files[place] = await store.put(bytes);
  const layers: Artifact = {
    format: 'tfjs-layers',
    sha256: await store.put(writeBundle({ files, preprocessing, unbatched: [] })),
    externalData: Object.values(files),
    inputTensor: PIXEL_INPUT,
  };
  const found: Contender[] = [];
  for (const provider of ['cpu', 'webgpu', 'cuda', 'tensorrt'] as const satisfies Provider[]) {
    const engine = `ONNX Runtime, ${provider}`;
    if (provider !== 'cpu') {
      progress(`looking for ${engine}`);
      const probe = await probeProvider(provider);
      if (!probe.works) {
        missing.push({ engine, reason: probe.reason });
        continue;
      }
    }
    const compute = { providers: [provider], deviceId: 0 };
    found.push({ engine, artifact: onnx, options: { compute, tensorFlow: 'wasm' } });
  }
  for (const [name, tensorFlow] of [
    ['native', 'native'],
    ['WebAssembly', 'wasm'],
  ] as const)
    found.push({ engine: `TensorFlow, ${name}`, artifact: layers, options: { tensorFlow } });
  return found;
}

interface Running {
  readonly engine: string;
  readonly worker: WorkerProcess;
  readonly inputTensor: string;
}

async function start(
  { engine, artifact, options }: Contender,
  folder: string,
  threads: number,
): Promise<Running> {
  const command = [process.execPath, '--disable-warning=ExperimentalWarning', main];
  const worker = new WorkerProcess(command, { artifacts: folder, threads, logLevel: 'silent', ...options });
  try {
    await worker.listening(60_000);
    const { format, sha256, externalData } = artifact;
    const most = Math.max(...BATCHES);
    await worker.client.load('cnn', {
      ...{ format, sha256, external_data: externalData.join(','), warmup_batch: most },
    });
    return { engine, worker, inputTensor: artifact.inputTensor };
  } catch (error) {
    worker.kill();
    throw error;
  }
}

/** In turn, so that a machine's mood is everybody's. */
async function measureAll(running: readonly Running[], forMs: number): Promise<Measured[]> {
  const reference = await ask(running[0]!, 8);
  const rounds = new Map<string, number[]>();
  for (let round = 1; round <= ROUNDS; round++) {
    for (const each of running) {
      for (const batch of BATCHES) {
        const ms = await msPerImage(each, batch, forMs);
        const key = `${each.engine} ${batch}`;
        rounds.set(key, [...(rounds.get(key) ?? []), ms]);
        progress(
          `round ${round} of ${ROUNDS}: ${each.engine}, batch ${batch}: ${shortly(1000 / ms)} images/s`,
        );
      }
    }
  }
  return Promise.all(
    running.map(async (each): Promise<Measured> => {
      const { scores, device } = await ask(each, 8);
      const entries = BATCHES.map(
        (batch) => [batch, median(rounds.get(`${each.engine} ${batch}`)!)] as const,
      );
      return {
        ...{ engine: each.engine, device, msPerImage: Object.fromEntries(entries) },
        distance: scores.reduce(
          (most, score, at) => Math.max(most, Math.abs(score - reference.scores[at]!)),
          0,
        ),
      };
    }),
  );
}

async function msPerImage(running: Running, batch: number, forMs: number): Promise<number> {
  const started = performance.now();
  let [computed, images] = [0, 0];
  while (performance.now() - started < forMs) {
    computed += (await ask(running, batch)).computeMs;
    images += batch;
  }
  return computed / images;
}

async function ask({ worker, inputTensor }: Running, batch: number) {
  const shape = [batch, SIZE, SIZE, 3];
  const tensor = {
    name: inputTensor,
    datatype: 'UINT8',
    shape,
    data: pictures.subarray(0, batch * SIZE * SIZE * 3),
  } as const;
  const { outputs, parameters } = await worker.client.infer('cnn', [tensor]);
  const { compute_ms: computeMs, device } = parameters;
  return {
    scores: elementsOf('FP32', outputs[0]!.data),
    computeMs: Number(computeMs),
    device: String(device),
  };
}

const five = proofPictures(SIZE, SIZE);
const pictures = Buffer.concat([...five, ...five].slice(0, 8));

function report(
  json: boolean,
  measured: readonly Measured[],
  missing: readonly { engine: string; reason: string }[],
): void {
  const rows = measured.map(({ engine, device, msPerImage, distance }) => {
    const perSecond = BATCHES.map((batch) => 1000 / msPerImage[batch]!);
    const over = BATCHES.map((batch) => measured[0]!.msPerImage[batch]! / msPerImage[batch]!);
    return { engine, device, imagesPerSecond: perSecond, overOnnxCpu: over, distance };
  });
  if (json)
    return void process.stdout.write(`${JSON.stringify({ batches: BATCHES, engines: rows, missing })}\n`);
  const head = [
    'engine',
    'device',
    ...BATCHES.flatMap((batch) => [`images/s, batch ${batch}`, 'over CPU']),
    'furthest answer',
  ];
  const lines = rows.map(({ engine, device, imagesPerSecond, overOnnxCpu, distance }) => [
    ...[engine, device],
    ...BATCHES.flatMap((_, at) => [shortly(imagesPerSecond[at]!), shortly(overOnnxCpu[at]!)]),
    distance.toExponential(1),
  ]);
  for (const line of [head, head.map(() => '---'), ...lines])
    process.stdout.write(`| ${line.join(' | ')} |\n`);
  for (const { engine, reason } of missing) process.stdout.write(`\n${engine} is not here: ${reason}\n`);
}

/** Three digits, whether it is 0.2 or 200. */
function shortly(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
