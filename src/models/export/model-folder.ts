import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { hashFile } from '../../inference/artifact-store.ts';
import { OperatorError } from '../../lib/errors.ts';

/** A stored artefact. */
export interface ExportedFile {
  readonly path: string;
  readonly sha256: string;
}

/** One version of a model in a repository of another server's: `<repository>/<name>/<version>/…`. */
export interface ExportedVersion {
  readonly name: string;
  readonly version: number;
  /** By their places in the version's folder, with slashes. */
  readonly files: Readonly<Record<string, ExportedFile>>;
  /** Files beside the version's folder, which all versions share. */
  readonly shared: Readonly<Record<string, string>>;
}

/**
 * Writes a version so that a server which watches the repository sees all of it or nothing. What is there already and the
 * same is left as it is.
 *
 * @returns whether anything was written
 * @throws OperatorError where something else is there, and it is as it was
 */
export async function writeVersion(repository: string, exported: ExportedVersion): Promise<boolean> {
  const { name, version, files, shared } = exported;
  const model = join(repository, name);
  const place = join(model, String(version));
  await requireSameShared(model, shared);
  const exists = await isThere(place);
  if (exists) await requireSameFolder(place, files);
  else await writeFolder(model, version, files);
  // After the version: until it has one, no server takes the folder for a model.
  await requireSameShared(model, shared);
  const missing: string[] = [];
  for (const file of Object.keys(shared)) if (!(await isThere(join(model, file)))) missing.push(file);
  for (const file of missing) await writeAtOnce(join(model, file), shared[file]!);
  return !exists || missing.length > 0;
}

async function writeFolder(model: string, version: number, files: ExportedVersion['files']): Promise<void> {
  const made = await mkdir(model, { recursive: true });
  const place = join(model, String(version));
  // Servers read over a folder whose name is no number.
  const temporary = join(model, `.${version}.${randomUUID()}`);
  try {
    for (const [file, { path }] of Object.entries(files)) {
      await mkdir(dirname(join(temporary, file)), { recursive: true });
      await copyFile(path, join(temporary, file), constants.COPYFILE_FICLONE);
    }
    await rename(temporary, place);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another export's, that was faster.
    if (isTaken(error)) return requireSameFolder(place, files);
    // Not where another export has begun to fill it.
    if (made !== undefined) await rmdir(model).catch(() => undefined);
    throw error;
  }
}

function isTaken(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
}

async function writeAtOnce(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function requireSameShared(model: string, shared: ExportedVersion['shared']): Promise<void> {
  for (const [file, text] of Object.entries(shared)) await requireSame(join(model, file), text);
}

async function requireSame(path: string, text: string): Promise<void> {
  const found = await readFile(path, 'utf8').catch(ifThere);
  if (found !== undefined && found !== text)
    throw new OperatorError(
      `${path} is there and says something else than this export would. Remove it, or export to another folder.`,
    );
}

async function requireSameFolder(place: string, files: ExportedVersion['files']): Promise<void> {
  const refuse = (what: string) =>
    new OperatorError(
      `${place} is there, and ${what}. Remove it, or export to another folder: a version that is served is not changed.`,
    );
  const found = await filesBelow(place);
  const odd = found.find((file) => files[file] === undefined);
  if (odd !== undefined) throw refuse(`has the file ${odd}, which this model does not`);
  for (const [file, { sha256 }] of Object.entries(files)) {
    if ((await hashFile(join(place, file))) !== sha256)
      throw refuse(`its ${file} is missing or differs from this model's`);
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(ifThere)) !== undefined;
}

/** For `catch`: undefined where there is no such file. */
function ifThere(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
