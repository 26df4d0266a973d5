import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncFolder } from '../lib/sync-folder.ts';

/** Of one piece of a file on its way through a hash: small enough to let other work in between. */
const PIECE_BYTES = 2 ** 20;

/** What is being written has been written to within this time, but for what a crash left behind. */
const STALE_MS = 60 * 60_000;

/** What was to be stored under a SHA-256 has another. */
export class OtherContentError extends Error {
  constructor(sha256: string, found: string) {
    super(`the content hashes to ${found}, not to ${sha256}`);
    this.name = 'OtherContentError';
  }
}

/** Artefacts by their SHA-256, in a folder that workers read: `<dir>/sha256/<first two digits>/<hash>`. */
export class ArtifactStore {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Stores `bytes` and answers their SHA-256. What is stored already is written again only where it is damaged. */
  async put(bytes: Uint8Array): Promise<string> {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (await this.has(sha256)) return sha256;
    await this.#place(sha256, (temporary) => write(temporary, [bytes]));
    return sha256;
  }

  /** As `put`, for a file of any size: it is hashed while it is copied. Throws where its hash is not `sha256`. */
  async putFile(path: string, sha256: string): Promise<void> {
    if (await this.has(sha256)) return;
    await this.putPieces(read(path), sha256).catch((error: Error) => {
      if (error instanceof OtherContentError) throw new Error(`${path}: ${error.message}`, { cause: error });
      throw error;
    });
  }

  /**
   * As `putFile`, for what comes piece by piece, in constant memory; in place of what may be stored already. Nothing is left of
   * what breaks off. Throws OtherContentError where its hash is not `sha256`.
   */
  async putPieces(pieces: AsyncIterable<Uint8Array>, sha256: string): Promise<void> {
    await this.#place(sha256, async (temporary) => {
      const hash = createHash('sha256');
      await write(temporary, pieces, hash);
      const found = hash.digest('hex');
      if (found !== sha256) throw new OtherContentError(sha256, found);
    });
  }

  /** Removes what crashes left half-written. Other processes may be writing to the folder: what is younger than an hour stays. */
  async clearStale(): Promise<void> {
    for (const folder of await namesIn(join(this.dir, 'sha256'))) {
      for (const name of await namesIn(join(this.dir, 'sha256', folder))) {
        if (!/^[0-9a-f]{64}\.[0-9a-f-]{36}$/.test(name)) continue;
        const path = join(this.dir, 'sha256', folder, name);
        const written = await stat(path).catch(() => null); // Gone meanwhile, and so be it.
        if (written && Date.now() - written.mtimeMs > STALE_MS) await rm(path, { force: true });
      }
    }
  }

  /** Takes an artefact over from a store on the same disk, which has it no more, in place of what may lie here. */
  async take(from: ArtifactStore, sha256: string): Promise<void> {
    await this.#place(sha256, (place) => rename(from.path(sha256), place));
  }

  /** An empty store on the same disk, of use to `take` from; its folder is for the caller to remove. */
  async beside(prefix: string): Promise<ArtifactStore> {
    await mkdir(this.dir, { recursive: true });
    return new ArtifactStore(await mkdtemp(join(this.dir, prefix)));
  }

  /** Whether the artefact is stored whole: a database may outlive the folder, and a file its disk's health. */
  async has(sha256: string): Promise<boolean> {
    return (await hashFile(this.path(sha256))) === sha256;
  }

  /** Where the artefact lies, whether or not it is stored. Throws on what is no SHA-256: it becomes a path. */
  path(sha256: string): string {
    return join(this.dir, 'sha256', placeOf(sha256));
  }

  /** A reader must never see half a file under its final name, nor a row name a file that a power failure emptied. */
  async #place(sha256: string, write: (temporary: string) => Promise<void>): Promise<void> {
    const path = this.path(sha256);
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}`;
    try {
      await write(temporary);
      await rename(temporary, path);
      const folder = dirname(path);
      for (const each of [folder, dirname(folder), this.dir]) await syncFolder(each);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

/** Opened when the first piece is asked for: a stream that fails with nobody there to hear of it ends the process. */
async function* read(path: string): AsyncGenerator<Buffer> {
  yield* createReadStream(path, { highWaterMark: PIECE_BYTES });
}

/** Makes a file of what comes, until it is on the disk. */
async function write(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  hash?: Hash,
): Promise<void> {
  // Opened before the first piece is asked for: whoever removes what broke off must not be too early.
  const file = await open(path, 'wx', 0o644);
  try {
    for await (const piece of pieces) {
      hash?.update(piece);
      await file.writeFile(piece);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
}

/** Where an artefact lies below a store's `sha256`: stored graphs name the files of their weights by it. */
export function placeOf(sha256: string): string {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Error(`'${sha256}' is no SHA-256 in lower-case hex`);
  return `${sha256.slice(0, 2)}/${sha256}`;
}

/** A file's SHA-256, in constant memory; null: there is no such file. */
export async function hashFile(path: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash);
    return hash.digest('hex');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
