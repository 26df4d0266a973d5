import { readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import type { z } from 'zod';
import { type ClassifyManifest, type Manifest, manifestSchema } from './manifest.ts';
import { type Fault, ManifestError, show } from './manifest-error.ts';

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
  const faults = [...(parsed.error?.issues ?? []).flatMap(faultsOf), ...unsupported(raw)];
  if (parsed.success) faults.push(...contradictions(parsed.data));
  const modelPath = await locate(manifestPath, 'file', field(raw, 'file'), faults);
  const labelsPath = await locate(manifestPath, 'labels', field(raw, 'labels'), faults);
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

/** The file's real path; null, with a fault, where it is not a file inside the manifest's folder. */
async function locate(
  manifestPath: string,
  path: string,
  value: unknown,
  faults: Fault[],
): Promise<string | null> {
  if (typeof value !== 'string' || value === '') return null; // the schema has said so
  const fault = (found: string) => {
    faults.push({
      path,
      found,
      wanted: "a file within the manifest's folder, by its path relative to it",
    });
    return null;
  };
  if (isAbsolute(value)) return fault(`${show(value)}, an absolute path`);
  // Links are followed before the check: one that leads outside would let a manifest read any file of this machine.
  const folder = await realpath(dirname(resolve(manifestPath)));
  const asWritten = resolve(folder, value);
  if (!isWithin(folder, asWritten)) return fault(`${show(value)}, which leads outside`);
  const real = await realpath(asWritten).catch((error: NodeJS.ErrnoException) => error);
  if (real instanceof Error) {
    return fault(`${show(value)}, ${real.code === 'ENOENT' ? 'which does not exist' : real.message}`);
  }
  if (!isWithin(folder, real)) return fault(`${show(value)}, a link that leads outside`);
  return (await stat(real)).isFile() ? real : fault(`${show(value)}, which is no file`);
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path ? `${path}.${key}` : key,
      found: 'a field that no manifest has',
      wanted: 'none of that name',
    }));
  }
  // A kind that no output has is reported at the kind, with the whole output as what was put in.
  const found =
    issue.code === 'invalid_union' && issue.discriminator
      ? field(issue.input, issue.discriminator)
      : issue.input;
  return [{ path, found: show(found), wanted: wantedBy(issue) }];
}

function wantedBy(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int'
        ? 'a whole number'
        : `${/^[aio]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`;
    case 'invalid_value':
      return `one of ${issue.values.map(show).join(', ')}`;
    case 'too_small':
      return issue.origin === 'string'
        ? 'text'
        : `${issue.minimum} or more${issue.origin === 'array' ? ' entries' : ''}`;
    case 'too_big':
      return `${issue.maximum} or less${issue.origin === 'array' ? ' entries' : ''}`;
    case 'invalid_union':
      return issue.discriminator === undefined
        ? issue.message
        : `one of ${manifestSchema.shape.output.options.map(({ shape }) => show(shape.kind.value)).join(', ')}`;
    default:
      return issue.message;
  }
}

function isReadable(kind: string): boolean {
  return kind === 'logits' || kind === 'probabilities';
}

function isClassifier(manifest: Manifest): manifest is ClassifyManifest {
  return manifest.task === 'CLASSIFY' && isReadable(manifest.output.kind);
}

function field(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[key] : undefined;
}
