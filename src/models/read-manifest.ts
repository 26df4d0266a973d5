import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { MAX_TENSOR_BYTES } from '../inference/oip/limits.ts';
import { locateFile } from './locate-file.ts';
import {
  kindsOfTask,
  type Manifest,
  type ManifestOutput,
  manifestSchema,
  type OutputOf,
} from './manifest.ts';
import { type Fault, ManifestError, show } from './manifest-error.ts';
import { faultsOfIssue, field } from './manifest-issues.ts';

const SAVED_MODEL_FILE = 'saved_model.pb';

export interface ReadManifest {
  readonly manifest: Manifest;
  /** Real paths, inside the manifest's folder. */
  readonly modelPath: string;
  readonly labelsPath: string;
}

/**
 * Reads a manifest and finds the files it names. Throws a `ManifestError` with every fault of its fields, its paths and
 * what cannot be imported.
 */
export async function readManifest(manifestPath: string): Promise<ReadManifest> {
  const raw = await readJson(manifestPath);
  const parsed = manifestSchema.safeParse(raw, { reportInput: true });
  const faults = [...(parsed.error?.issues ?? []).flatMap(faultsOfIssue)];
  if (parsed.success) faults.push(...contradictions(parsed.data));
  const modelPath = await locateFile(manifestPath, 'file', await modelFile(manifestPath, raw), faults);
  const labelsPath = await locateFile(manifestPath, 'labels', field(raw, 'labels'), faults);
  if (!parsed.success || modelPath === null || labelsPath === null || faults.length > 0) {
    throw new ManifestError(manifestPath, faults);
  }
  return { manifest: parsed.data, modelPath, labelsPath };
}

/** A SavedModel may be named by its folder. */
async function modelFile(manifestPath: string, raw: unknown): Promise<unknown> {
  const file = field(raw, 'file');
  if (field(raw, 'format') !== 'saved-model' || typeof file !== 'string' || file === '') return file;
  const found = await stat(resolve(dirname(manifestPath), file)).catch(() => null); // told where it is located
  return found?.isDirectory() ? join(file, SAVED_MODEL_FILE) : file;
}

async function readJson(path: string): Promise<unknown> {
  const refuse = (found: string) =>
    new ManifestError(path, [{ path: '', found, wanted: 'a manifest in JSON' }]);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw refuse(error.code === 'ENOENT' ? 'no such file' : error.message);
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}

/** The original graph, which an import is proven against, may take three float32 a pixel, all in one request. */
const MAX_PIXELS = Math.floor(MAX_TENSOR_BYTES / (3 * 4));

/** Fields that are right by themselves and wrong together. */
function contradictions({ task, input, output }: Manifest): Fault[] {
  return [...contradictionsOfInput(input), ...contradictionsOfOutput(task, output)];
}

function contradictionsOfInput(input: Manifest['input']): Fault[] {
  const faults: Fault[] = [];
  const channels = input.color === 'GRAY' ? 1 : 3;
  for (const name of ['mean', 'std'] as const) {
    const value = input[name];
    if (Array.isArray(value) && value.length !== channels) {
      faults.push({
        path: `input.${name}`,
        found: show(value),
        wanted: `a number, or ${channels} of them as color is ${input.color}`,
      });
    }
  }
  if (input.width * input.height > MAX_PIXELS) {
    faults.push({
      path: 'input',
      found: `${input.width}×${input.height}, ${input.width * input.height} pixels`,
      wanted: `${MAX_PIXELS} pixels or less: a picture goes to the worker in one request`,
    });
  }
  // A picture of any shape must still fill the crop once its short side is this long.
  const least = Math.max(input.width, input.height);
  if (input.fit === 'cover' && input.resizeShort !== null && input.resizeShort < least) {
    faults.push({
      path: 'input.resizeShort',
      found: show(input.resizeShort),
      wanted: `${least} or more, to crop ${input.width}×${input.height} from`,
    });
  }
  return faults;
}

function contradictionsOfOutput(task: Manifest['task'], output: ManifestOutput): Fault[] {
  const kinds = kindsOfTask[task];
  if (!kinds.includes(output.kind)) {
    const wanted = `one of ${kinds.map(show).join(', ')}, the kinds of ${task}`;
    return [{ path: 'output.kind', found: show(output.kind), wanted }];
  }
  if (output.kind === 'yolov5') return contradictionsOfAnchors(output);
  if (output.kind === 'detections') return contradictionsOfColumns(output);
  return [];
}

function contradictionsOfAnchors({ anchors, strides }: OutputOf<'yolov5'>): Fault[] {
  if (anchors === null) return [];
  if (anchors.length === strides.length && anchors.every((list) => list.length % 2 === 0)) return [];
  const found = `${anchors.length} lists of ${anchors.map(({ length }) => length).join(', ')} numbers`;
  const wanted = `${strides.length} lists, one a stride, of a width and a height for each anchor`;
  return [{ path: 'output.anchors', found, wanted }];
}

/** How `detections` may tell where an object is. */
const boxForms = [
  ['x1', 'y1', 'x2', 'y2'],
  ['cx', 'cy', 'w', 'h'],
  ['x', 'y', 'w', 'h'],
];

function contradictionsOfColumns({ columns }: OutputOf<'detections'>): Fault[] {
  const read = columns.filter((column) => column !== 'batch').toSorted();
  if (boxForms.some((form) => isDeepStrictEqual(read, [...form, 'score', 'class'].toSorted()))) return [];
  const forms = boxForms.map((form) => form.join(' ')).join(', or ');
  const wanted = `each of score, class and one form of box (${forms}), once`;
  return [{ path: 'output.columns', found: show(columns), wanted }];
}
