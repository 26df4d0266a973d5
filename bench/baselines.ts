import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { python } from '../test/support/python.ts';
import type { Arrivals, Stream } from './load/stream.ts';
import type { BenchModel } from './models.ts';
import { type Started, script, startProgram } from './processes.ts';
import type { Stage } from './stage.ts';

/** What the servers for scale are told: the service's own graph, which takes pixels and has the pre-processing inside. */
export interface BaselineSettings {
  readonly graph: string;
  /** A file with a label a line. */
  readonly labels: string;
  readonly width: number;
  readonly height: number;
  /** Whether the graph's scores are to be made probabilities. */
  readonly isLogits: boolean;
  /** Of one run of the engine; null: as many as ONNX Runtime takes by itself. */
  readonly threads: number | null;
  /** Requests that FastAPI works on at once; null: as many as it takes by itself, 40. The one in Node has no such bound. */
  readonly inFlight: number | null;
}

/** What of the service's model and installation a baseline needs. */
export async function baselineSettings(
  stage: Stage,
  model: BenchModel,
  tuning: Partial<Pick<BaselineSettings, 'threads' | 'inFlight'>> = {},
): Promise<BaselineSettings> {
  if (model.task !== 'CLASSIFY')
    throw new Error(`${model.name} is for ${model.task}: the baselines classify alone.`);
  const labels = join(stage.folder, 'labels.txt');
  writeFileSync(labels, model.labels.join('\n'));
  const { width, height, isLogits } = model;
  const graph = await stage.graphOf(model);
  return { graph, labels, width, height, isLogits, threads: null, inFlight: null, ...tuning };
}

/** One Node process: `naive-server.ts`. */
export async function startNaive(stage: Stage, settings: BaselineSettings): Promise<Started> {
  const command = script(new URL('naive-server.ts', import.meta.url).href, JSON.stringify(settings));
  return stage.own('naive server', await startProgram(command));
}

/** FastAPI, or why it is left out and how to have it. */
export async function startFastApi(
  stage: Stage,
  settings: BaselineSettings,
): Promise<Started | { readonly absent: string }> {
  const interpreter = python('fastapi', 'uvicorn', 'PIL', 'onnxruntime', 'numpy');
  if (interpreter === null) return { absent: HOW_TO_HAVE_FASTAPI };
  const server = fileURLToPath(new URL('fastapi/server.py', import.meta.url));
  return stage.own('FastAPI', await startProgram([interpreter, server, JSON.stringify(settings)]));
}

const HOW_TO_HAVE_FASTAPI =
  'FastAPI is left out, since its packages are not at hand. To have it: python3 -m venv .python && ' +
  '.python/bin/python3 -m pip install -r bench/fastapi/requirements.txt (or name an interpreter by FOVEA_TEST_PYTHON).';

/** Clients of either baseline. */
export function baselineStream(url: string, pictures: readonly Uint8Array[], arrivals: Arrivals): Stream {
  const bodies = pictures.map((picture) =>
    Buffer.from(JSON.stringify({ image: Buffer.from(picture).toString('base64') })),
  );
  return { url, path: '/classify', reading: 'plain', keys: [], bodies, arrivals };
}
