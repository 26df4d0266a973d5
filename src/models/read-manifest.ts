import { readFile } from 'node:fs/promises';
import { MAX_TENSOR_BYTES } from '../inference/oip/limits.ts';
import { locateFile } from './locate-file.ts';
import { type ClassifyManifest, type Manifest, manifestSchema } from './manifest.ts';
import { type Fault, ManifestError, show } from './manifest-error.ts';
import { faultsOfIssue, field } from './manifest-issues.ts';

export interface ReadManifest {
  readonly manifest: ClassifyManifest;
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
  const faults = [...(parsed.error?.issues ?? []).flatMap(faultsOfIssue), ...unsupported(raw)];
  if (parsed.success) faults.push(...contradictions(parsed.data));
  const modelPath = await locateFile(manifestPath, 'file', field(raw, 'file'), faults);
  const labelsPath = await locateFile(manifestPath, 'labels', field(raw, 'labels'), faults);
  if (
    !parsed.success ||
    !isClassifier(parsed.data) ||
    modelPath === null ||
    labelsPath === null ||
    faults.length > 0
  ) {
    throw new ManifestError(manifestPath, faults);
  }
  return { manifest: parsed.data, modelPath, labelsPath };
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

/** What the format allows and this version cannot import: judged apart from the rest, so that both are told at once. */
function unsupported(raw: unknown): Fault[] {
  const faults: Fault[] = [];
  const check = (path: string, value: unknown, known: readonly unknown[], wanted: string) => {
    if (known.includes(value))
      faults.push({ path, found: show(value), wanted: `${wanted}: no other can be imported yet` });
  };
  check('task', field(raw, 'task'), ['DETECT', 'SEGMENT'], '"CLASSIFY"');
  check('format', field(raw, 'format'), ['saved-model', 'tfjs-graph', 'tfjs-layers'], '"onnx"');
  const kind = field(field(raw, 'output'), 'kind');
  if (field(raw, 'task') === 'CLASSIFY') {
    const others = manifestSchema.shape.output.options
      .map(({ shape }) => shape.kind.value)
      .filter((each) => !isReadable(each));
    if (others.some((other) => other === kind)) {
      faults.push({
        path: 'output.kind',
        found: show(kind),
        wanted: '"logits" or "probabilities", the kinds of CLASSIFY',
      });
    }
  }
  return faults;
}

/** The original graph, which an import is proven against, may take three float32 a pixel, all in one request. */
const MAX_PIXELS = Math.floor(MAX_TENSOR_BYTES / (3 * 4));

/** Fields that are right by themselves and wrong together. */
function contradictions({ input }: Manifest): Fault[] {
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

function isReadable(kind: string): boolean {
  return kind === 'logits' || kind === 'probabilities';
}

function isClassifier(manifest: Manifest): manifest is ClassifyManifest {
  return manifest.task === 'CLASSIFY' && isReadable(manifest.output.kind);
}
