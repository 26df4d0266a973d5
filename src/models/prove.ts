import { MAX_TENSOR_BYTES } from '../inference/oip/limits.ts';
import type { Tensor } from '../inference/tensor.ts';
import { outputTensors } from '../inference/variant.ts';
import type { InputFit } from './fit-input.ts';
import { formatAnswer, type Head, type Part } from './heads/head.ts';
import { differenceOf, type OriginalAnswers } from './judge-answers.ts';
import type { Fault } from './manifest-error.ts';
import { originalTensor, pixelTensor, proofPictures } from './proof-pictures.ts';
import type { ServedArtifact, SourceModel } from './source-model.ts';
import { type LoadOptions, type Run, TrialError, type Trials } from './trials.ts';

/** What is to be served of a model, shown to answer as the model does. */
export interface Served extends ServedArtifact {
  /** Why pictures are served one at a time; null: they are not. */
  readonly oneByOne: string | null;
}

/** What the graphs of one model are tried in. */
export interface ModelOnTrial extends Pick<LoadOptions, 'format' | 'externalData'> {
  readonly trials: Trials;
  /** Told what is tried: a large model takes its time. */
  readonly tell: (step: string) => void;
}

/** A graph does not answer as it should; the message says how. */
class WrongAnswer extends Error {}

const MOST_AT_ONCE = 8;

/**
 * Runs a model as it was brought. null, with a fault, where it does not load or run.
 *
 * What it is fed is computed from the manifest, apart from the nodes that an import adds: an error in those cannot hide.
 */
export async function runOriginal(
  source: SourceModel,
  { input, preprocessing }: InputFit,
  faults: Fault[],
  { trials, format, externalData, tell }: ModelOnTrial,
): Promise<OriginalAnswers | null> {
  tell('trying the graph as it was brought');
  const { name } = input;
  const datatype = input.type === 'UINT8' ? 'UINT8' : 'FP32';
  try {
    return await trials.try(source.original(), { format, externalData, maxBatch: 1 }, async (run) => {
      const pictures: Tensor[][] = [];
      const feed = (picture: Uint8Array) => run(originalTensor({ name, datatype }, [picture], preprocessing));
      const all = proofPictures(preprocessing.width, preprocessing.height);
      for (const picture of all) pictures.push(await feed(picture));
      return { pictures, again: await feed(all[0]!) };
    });
  } catch (error) {
    if (!(error instanceof TrialError)) throw error;
    faults.push({ path: 'file', found: error.message, wanted: 'a graph that the worker runs' });
    return null;
  }
}

/**
 * Finds the artefact that is served of a model, with as many pictures at once as it can be shown to take. `wanted` is what
 * the model itself answered to each proof picture: the served one must answer the same, to each alone and among others.
 * null, with a fault, where none does.
 */
export async function proveServed(
  source: SourceModel,
  fit: InputFit,
  head: Head,
  wanted: OriginalAnswers['pictures'],
  faults: Fault[],
  trial: ModelOnTrial,
): Promise<Served | null> {
  const most = largestBatch(fit, head, wanted, faults);
  if (most === null) return null;
  const isTold = areToldApart(head, wanted);
  let oneByOne = isTold ? null : 'not shown to keep pictures apart: it answers all proof pictures alike';
  for (const candidate of source.served(fit, head, isTold ? most : 1)) {
    trial.tell('trying the graph that takes pixels');
    const problem = await problemOf(candidate, { fit, head, wanted, trial });
    if (problem === null) return { ...candidate, oneByOne };
    oneByOne = problem;
  }
  faults.push({
    path: 'file',
    found: `a graph that, once it takes pixels, is ${oneByOne}`,
    wanted: 'the answers of the original graph',
  });
  return null;
}

/**
 * Whether the answers to the proof pictures differ by more than equal ones may. Where noise is one class all over, or shows
 * no object, they do not: each would be right for any other, and a batch that mixes its pictures up would pass.
 */
function areToldApart(head: Head, [first = [], ...others]: OriginalAnswers['pictures']): boolean {
  const parts = head.parts(first);
  return others.some((other) => differenceOf(parts, head.parts(other)) !== null);
}

/** A batch goes to a worker as one message, and its answer comes back as one. */
function largestBatch(
  { preprocessing: { width, height } }: InputFit,
  head: Head,
  wanted: OriginalAnswers['pictures'],
  faults: Fault[],
): number | null {
  const read = outputTensors(head.output);
  const sizes = wanted.map((tensors) =>
    tensors.reduce((sum, { name, data }) => sum + (read.includes(name) ? data.length : 0), 0),
  );
  const answerBytes = Math.max(...sizes, 1);
  const fitting = Math.floor(MAX_TENSOR_BYTES / Math.max(width * height * 3, answerBytes));
  if (fitting >= 1) return Math.min(MOST_AT_ONCE, fitting);
  const found = `${answerBytes} bytes of answer for one picture`;
  faults.push({ path: 'output', found, wanted: `at most ${MAX_TENSOR_BYTES}: one message of a worker` });
  return null;
}

interface Proof {
  readonly fit: InputFit;
  readonly head: Head;
  readonly wanted: OriginalAnswers['pictures'];
  readonly trial: ModelOnTrial;
}

/** Why a graph cannot be served so; null: it can. */
async function problemOf(
  { artifact, inputTensor, maxBatch }: ServedArtifact,
  { fit: { preprocessing }, head, wanted, trial: { trials, format, externalData } }: Proof,
): Promise<string | null> {
  const pictures = proofPictures(preprocessing.width, preprocessing.height);
  const ask = async (run: Run, some: readonly Uint8Array[]) =>
    slicesOf(await run(pixelTensor(inputTensor, some, preprocessing)), some.length);
  try {
    await trials.try(artifact, { format, externalData, maxBatch }, async (run) => {
      const alone: (readonly Part[])[] = [];
      for (const [index, picture] of pictures.entries()) {
        const [found = []] = await ask(run, [picture]);
        alone.push(head.parts(found));
        const difference = differenceOf(head.parts(wanted[index]!), alone[index]!);
        if (difference !== null) throw new WrongAnswer(`${difference} beside the original graph`);
      }
      // An answer must depend neither on whose pictures ride in the same batch nor on its place there.
      for (const order of ordersOf(pictures.length, maxBatch)) {
        const together = await ask(
          run,
          order.map((index) => pictures[index]!),
        );
        for (const [position, found] of together.entries()) {
          const difference = differenceOf(alone[order[position]!]!, head.parts(found));
          if (difference !== null)
            throw new WrongAnswer(`${difference} where ${order.length} pictures are answered at once`);
        }
      }
    });
    return null;
  } catch (error) {
    if (error instanceof WrongAnswer) return error.message;
    if (error instanceof TrialError) return `no graph that the worker runs: ${error.message}`;
    throw error;
  }
}

/** Which pictures, by their indices, are put into each batch: one that is full, and one of three in the opposite order. */
function ordersOf(pictures: number, maxBatch: number): number[][] {
  if (maxBatch === 1) return [];
  const full = Array.from({ length: maxBatch }, (_, position) => position % pictures);
  const few = Array.from({ length: Math.min(3, maxBatch) }, (_, position) => pictures - 1 - position);
  return [full, few];
}

/** The outputs of each picture of a batch. Throws a TrialError where an output has not one slice a picture. */
function slicesOf(tensors: readonly Tensor[], batch: number): Tensor[][] {
  return Array.from({ length: batch }, (_, picture) =>
    tensors.map((tensor): Tensor => {
      const [first, ...shape] = tensor.shape;
      if (first !== batch) {
        throw new TrialError(`${batch} pictures put in, and tensor ${formatAnswer(tensor)} answered`);
      }
      const bytes = tensor.data.length / batch;
      return { ...tensor, shape, data: tensor.data.subarray(picture * bytes, (picture + 1) * bytes) };
    }),
  );
}
