import { open } from 'node:fs/promises';

/** Brings the names in a folder to the disk: the sync of a file leaves its own name out. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
