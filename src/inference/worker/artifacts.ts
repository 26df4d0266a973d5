import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { OipError } from '../oip/errors.ts';

/**
 * The artefact's bytes from `<folder>/sha256/<first 2>/<hash>`. Only bytes that hash to their name are returned, and the
 * very bytes that were hashed: a file changed or swapped by a link cannot become a model. Throws OipError 400 or 404.
 */
export async function readArtifact(folder: string, sha256: string): Promise<Uint8Array> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new OipError(
      400,
      `sha256: expected 64 lower-case hexadecimal digits, found '${sha256.slice(0, 80)}'`,
    );
  }
  const root = await realpath(folder).catch((error: Error) => {
    throw new OipError(404, `the artefact folder ${folder} cannot be opened: ${error.message}`, {
      cause: error,
    });
  });
  const path = join(root, 'sha256', sha256.slice(0, 2), sha256);
  let bytes: Uint8Array;
  try {
    if ((await realpath(path)) !== path)
      throw new OipError(400, `artefact ${sha256}: links are not followed`);
    // The check above sees every folder on the way; O_NOFOLLOW closes the gap between it and the opening.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      if (!(await file.stat()).isFile()) throw new OipError(400, `artefact ${sha256}: not a plain file`);
      bytes = await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof OipError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new OipError(
      missing ? 404 : 400,
      missing ? `artefact ${sha256}: not in ${folder}` : `artefact ${sha256}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256)
    throw new OipError(400, `artefact ${sha256}: its content hashes to ${found}; store it again`);
  return bytes;
}
