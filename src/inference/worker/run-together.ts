import type { Tensor } from '../tensor.ts';
import { joinInputs, splitOutputs } from './joined-tensors.ts';

/** What one request asks of a model. */
export interface RunRequest {
  readonly inputs: readonly Tensor[];
  /** Those wanted; null: all. */
  readonly outputs: readonly string[] | null;
  readonly images: number;
}

export interface Run {
  readonly outputs: Tensor[];
  /** Milliseconds inside the engine. */
  readonly computeMs: number;
  /** What computed. */
  readonly device: string;
  /** Images that were run with it, its own included. */
  readonly batchSize: number;
}

/** A model that runs one batch. */
export interface Runner {
  run(inputs: readonly Tensor[], outputs: readonly string[] | null): Promise<Omit<Run, 'batchSize'>>;
  /** A batch was run, of so many images. */
  ran(images: number, computeMs: number): void;
  /** Its answers are not of a row an image. */
  cannotJoin(): void;
}

/**
 * What each of the requests comes to, all in one batch. Where that fails they are run one after the other, so that only what is
 * to blame fails.
 */
export async function runTogether(
  model: Runner,
  requests: readonly RunRequest[],
): Promise<PromiseSettledResult<Run>[]> {
  if (requests.length > 1) {
    const runs = await runJoined(model, requests).catch(() => null); // Run alone, each shows why.
    if (runs) return runs.map((value) => ({ status: 'fulfilled', value }));
  }
  const settled: PromiseSettledResult<Run>[] = [];
  for (const request of requests) {
    const run = runAlone(model, request);
    settled.push(...(await Promise.allSettled([run])));
  }
  return settled;
}

async function runAlone(model: Runner, { inputs, outputs, images }: RunRequest): Promise<Run> {
  const run = await model.run(inputs, outputs);
  model.ran(images, run.computeMs);
  return { ...run, batchSize: images };
}

async function runJoined(model: Runner, requests: readonly RunRequest[]): Promise<Run[] | null> {
  const images = requests.map((request) => request.images);
  const wanted = unionOf(requests);
  const { outputs, computeMs, device } = await model.run(
    joinInputs(requests.map(({ inputs }) => inputs)),
    wanted,
  );
  const split = splitOutputs(outputs, images);
  if (!split) {
    model.cannotJoin();
    return null;
  }
  const batchSize = images.reduce((sum, each) => sum + each, 0);
  model.ran(batchSize, computeMs);
  return requests.map((request, position) => {
    const own = split[position]!;
    const outputs = request.outputs?.map((name) => own.find((output) => output.name === name)!) ?? own;
    return { outputs, computeMs, device, batchSize };
  });
}

function unionOf(requests: readonly RunRequest[]): readonly string[] | null {
  const wanted = new Set<string>();
  for (const { outputs } of requests) {
    if (outputs === null) return null;
    for (const name of outputs) wanted.add(name);
  }
  return [...wanted];
}
