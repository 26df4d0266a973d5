import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { OipError } from '../oip/errors.ts';
import type { StoredFiles } from './engine.ts';

/** Files that an engine opens by itself. */
export interface CheckedFiles extends StoredFiles {
  /** Throws OipError 400 where a file is not the one that was checked: for after the engine has opened them. */
  requireUnchanged(): Promise<void>;
}

/**
 * The artefact's bytes from `<folder>/sha256/<first 2>/<hash>`. Only bytes that hash to their name are returned, and the
 * very bytes that were hashed: a file changed or swapped by a link cannot become a model. Throws OipError 400 or 404.
 */
export async function readArtifact(folder: string, sha256: string): Promise<Uint8Array> {
  return withArtifact(await artifactRoot(folder), sha256, async (file) => {
    const bytes = await file.readFile();
    requireHash(sha256, createHash('sha256').update(bytes).digest('hex'));
    return bytes;
  });
}

/**
 * Sees that artefacts too large to be read are whole, and where they lie: each is `<first 2>/<hash>` below the folder that
 * is answered. They are hashed piece by piece, so that other work goes on. Throws OipError as `readArtifact` does.
 *
 * An engine maps them into memory, and whoever may write the store may change them there later: the store itself never
 * writes to a file that is in place.
 */
export async function checkArtifacts(folder: string, hashes: readonly string[]): Promise<CheckedFiles> {
  const root = await artifactRoot(folder);
  const identities = new Map<string, string>();
  for (const sha256 of hashes) {
    await withArtifact(root, sha256, async (file) => {
      identities.set(sha256, identityOf(await file.stat({ bigint: true })));
      const hash = createHash('sha256');
      await pipeline(file.createReadStream({ autoClose: false, highWaterMark: 2 ** 20 }), hash);
      requireHash(sha256, hash.digest('hex'));
    });
  }
  const requireUnchanged = async () => {
    for (const [sha256, identity] of identities) {
      const found = await lstat(pathOf(root, sha256), { bigint: true }).catch(() => null);
      if (found && identityOf(found) === identity) continue;
      throw new OipError(400, `artefact ${sha256}: it was changed while it was loaded`);
    }
  };
  return { folder: join(root, 'sha256'), hashes, requireUnchanged };
}

/** Bytes of artefacts together, as the disk tells. Throws OipError as `readArtifact` does. */
export async function sizeOf(folder: string, hashes: readonly string[]): Promise<number> {
  const root = await artifactRoot(folder);
  let bytes = 0;
  for (const sha256 of hashes)
    bytes += await withArtifact(root, sha256, async (file) => (await file.stat()).size);
  return bytes;
}

async function artifactRoot(folder: string): Promise<string> {
  return realpath(folder).catch((error: Error) => {
    throw new OipError(404, `the artefact folder ${folder} cannot be opened: ${error.message}`, {
      cause: error,
    });
  });
}

function pathOf(root: string, sha256: string): string {
  return join(root, 'sha256', sha256.slice(0, 2), sha256);
}

async function withArtifact<T>(
  root: string,
  sha256: string,
  work: (file: FileHandle) => Promise<T>,
): Promise<T> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new OipError(
      400,
      `sha256: expected 64 lower-case hexadecimal digits, found '${sha256.slice(0, 80)}'`,
    );
  }
  const path = pathOf(root, sha256);
  try {
    if ((await realpath(path)) !== path)
      throw new OipError(400, `artefact ${sha256}: links are not followed`);
    // The check above sees every folder on the way; O_NOFOLLOW closes the gap between it and the opening.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      if (!(await file.stat()).isFile()) throw new OipError(400, `artefact ${sha256}: not a plain file`);
      return await work(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof OipError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new OipError(
      missing ? 404 : 400,
      missing ? `artefact ${sha256}: not in ${root}` : `artefact ${sha256}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function requireHash(sha256: string, found: string): void {
  if (found !== sha256)
    throw new OipError(400, `artefact ${sha256}: its content hashes to ${found}; store it again`);
}

/** Changes with the file at a path and with what is written to it. */
function identityOf(file: { dev: bigint; ino: bigint; size: bigint; mtimeNs: bigint }): string {
  return `${file.dev} ${file.ino} ${file.size} ${file.mtimeNs}`;
}
