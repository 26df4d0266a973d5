import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { validate as isUuid } from 'uuid';
import { syncFolder } from '../lib/sync-folder.ts';

/** The files of uploads: `<dir>/<tenant>/<file>`, of which the database says whose they are. */
export class UploadFiles {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  path(tenantId: string, file: string): string {
    return join(this.#dir, tenantId, file);
  }

  /** Tenants that have a folder. */
  async tenants(): Promise<string[]> {
    return (await namesIn(this.#dir)).filter((name) => isUuid(name));
  }

  async of(tenantId: string): Promise<string[]> {
    return namesIn(join(this.#dir, tenantId));
  }

  async makeFolder(tenantId: string): Promise<void> {
    await mkdir(join(this.#dir, tenantId), { recursive: true, mode: 0o700 });
  }

  /** Does nothing where the folder holds files, or is gone. */
  async removeFolder(tenantId: string): Promise<void> {
    await rmdir(join(this.#dir, tenantId)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error;
    });
  }

  /** Brings the names in the tenant's folder, and its own, to the disk. */
  async syncFolder(tenantId: string): Promise<void> {
    for (const path of [join(this.#dir, tenantId), this.#dir]) await syncFolder(path);
  }

  /** null: it is not there. */
  async read(tenantId: string, file: string): Promise<Uint8Array | null> {
    return readFile(this.path(tenantId, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
  }

  async remove(tenantId: string, file: string): Promise<void> {
    await rm(this.path(tenantId, file), { force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}
