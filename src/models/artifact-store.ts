import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Artefacts by their SHA-256, in a folder that workers read: `<dir>/sha256/<first two digits>/<hash>`. */
export class ArtifactStore {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Stores `bytes` and answers their SHA-256. What is stored already is written again only where it is damaged. */
  async put(bytes: Uint8Array): Promise<string> {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const path = this.path(sha256);
    if (await this.has(sha256)) return sha256;
    await mkdir(dirname(path), { recursive: true });
    // A reader must never see half a file under its final name, nor a row name a file that a power failure emptied.
    const temporary = `${path}.${randomUUID()}`;
    try {
      const file = await open(temporary, 'wx', 0o644);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    return sha256;
  }

  /** Whether the artefact is stored whole: a database may outlive the folder, and a file its disk's health. */
  async has(sha256: string): Promise<boolean> {
    return (await hashOf(this.path(sha256))) === sha256;
  }

  /** Where the artefact lies, whether or not it is stored. Throws on what is no SHA-256: it becomes a path. */
  path(sha256: string): string {
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error(`'${sha256}' is no SHA-256 in lower-case hex`);
    return join(this.dir, 'sha256', sha256.slice(0, 2), sha256);
  }
}

/** null: there is no such file. */
async function hashOf(path: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
    return hash.digest('hex');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
