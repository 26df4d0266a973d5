import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OipClient } from '../inference/oip/client.ts';
import { OipError, WorkerLostError } from '../inference/oip/errors.ts';
import { WorkerProcess } from '../inference/pool/worker-process.ts';
import type { Tensor } from '../inference/tensor.ts';
import type { Lifetime } from '../lib/lifetime.ts';
import { ArtifactStore } from './artifact-store.ts';
import type { Fit } from './fit-graph.ts';
import { judgeEqual, judgeScores } from './judge-scores.ts';
import type { Fault } from './manifest-error.ts';
import { originalTensor, pixelTensor, proofPictures } from './proof-pictures.ts';

export interface Contestants {
  /** The file as it was brought. */
  readonly original: Uint8Array;
  /** What would be served, and the tensor it takes its pixels by. */
  readonly served: Uint8Array;
  readonly servedInput: string;
}

const START_MS = 30_000;
const PATIENCE_MS = 120_000;

/**
 * Runs the graph that will be served beside the original, on the same pictures, one at a time; and where it takes several
 * at once, with as many as it will ever be given. Answers the number of classes; null, with faults, where they disagree or what they answer cannot be
 * right. The original is fed what is computed here from the manifest, so an error in wrapping cannot hide.
 *
 * Both run in a worker process of their own: a model that takes its process down, or never ends, takes nothing else. It
 * ends with `lifetime` where that ends first.
 */
export async function proveEqual(
  contestants: Contestants,
  fit: Fit,
  kind: 'logits' | 'probabilities',
  faults: Fault[],
  lifetime?: Pick<Lifetime, 'own'>,
): Promise<number | null> {
  const folder = await mkdtemp(join(tmpdir(), 'fovea-proof-'));
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const worker = new WorkerProcess(
    [process.execPath, '--disable-warning=ExperimentalWarning', main],
    // What goes wrong is told in the faults.
    { artifacts: folder, threads: 1, logLevel: 'silent' },
  );
  const kill = async () => {
    worker.kill();
    await worker.ended;
  };
  try {
    lifetime?.own({ name: 'trial of a model', close: kill, killNow: () => worker.kill() });
    await worker.listening(START_MS); // a worker that does not even start is no fault of the file
    try {
      await load(worker.client, new ArtifactStore(folder), contestants, fit.maxBatch);
      return await compare(worker.client, contestants.servedInput, fit, kind, faults);
    } catch (error) {
      faults.push(faultOf(error));
      return null;
    }
  } finally {
    await kill();
    await rm(folder, { recursive: true, force: true });
  }
}

async function load(
  client: OipClient,
  store: ArtifactStore,
  { original, served }: Contestants,
  maxBatch: number,
) {
  for (const [name, graph, batch] of [
    ['original', original, 1],
    ['served', served, maxBatch],
  ] as const) {
    const parameters = { sha256: await store.put(graph), format: 'onnx', warmup_batch: batch };
    await client.load(name, parameters, AbortSignal.timeout(PATIENCE_MS));
  }
}

async function compare(
  client: OipClient,
  servedInput: string,
  { preprocessing, input, output, maxBatch }: Fit,
  kind: 'logits' | 'probabilities',
  faults: Fault[],
): Promise<number> {
  const scores = async (model: string, tensor: Tensor) => {
    const options = { outputs: [output.name], signal: AbortSignal.timeout(PATIENCE_MS) };
    const { outputs } = await client.infer(model, [tensor], options);
    return rowsOf(outputs[0]!, tensor.shape[0]!);
  };
  const type = input.type === 'UINT8' ? 'UINT8' : 'FP32';
  const ofOriginal = (some: Uint8Array[]) =>
    scores('original', originalTensor({ name: input.name, datatype: type }, some, preprocessing));
  const ofServed = (some: Uint8Array[]) => scores('served', pixelTensor(servedInput, some, preprocessing));

  const pictures = proofPictures(preprocessing.width, preprocessing.height);
  const wanted: Float32Array[] = [];
  const found: Float32Array[] = [];
  for (const picture of pictures) {
    wanted.push(...(await ofOriginal([picture])));
    found.push(...(await ofServed([picture])));
  }
  judgeScores(found, { kind, tensor: output.name }, faults);
  judgeEqual(wanted, found, 'the original graph', faults);
  if (maxBatch > 1) {
    const cycled = <T>(list: readonly T[]) =>
      Array.from({ length: maxBatch }, (_, position) => list[position % list.length]!);
    // An answer must not depend on whose pictures ride in the same batch.
    const alone = "one picture alone (fix the graph's batch at 1 to serve it so)";
    judgeEqual(cycled(found), await ofServed(cycled(pictures)), alone, faults);
  }
  return found[0]!.length;
}

/** The scores cannot be taken as rows of classes. */
class UnreadableScores extends Error {}

/** [N,C] or [N,C,1,1] as N rows of C. */
function rowsOf({ name, datatype, shape, data }: Tensor, batch: number): Float32Array[] {
  const [rows, columns = 0, ...rest] = shape;
  if (datatype !== 'FP32' || rows !== batch || columns < 1 || rest.some((length) => length !== 1)) {
    const wanted = `FP32 [${batch},C] as ${batch} pictures were put in`;
    throw new UnreadableScores(`tensor '${name}' answered as ${datatype} [${shape}], not as ${wanted}`);
  }
  const values = new Float32Array(new Uint8Array(data).buffer); // copied: a message's bytes need not be aligned
  return Array.from({ length: batch }, (_, row) => values.subarray(row * columns, (row + 1) * columns));
}

/** What ended a load or a run, as a fault of the file. Throws again what the file cannot have caused. */
function faultOf(error: unknown): Fault {
  const fault = (found: string) => ({ path: 'file', found, wanted: 'a graph that the worker runs' });
  if (error instanceof OipError || error instanceof UnreadableScores) return fault(error.message);
  if (error instanceof WorkerLostError)
    return fault(`a graph that ended the process it was tried in (${error.message})`);
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return fault(`a graph that was not done after ${PATIENCE_MS / 1000} s`);
  }
  throw error;
}
