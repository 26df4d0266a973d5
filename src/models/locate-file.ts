import { realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { type Fault, show } from './manifest-error.ts';

/** The file's real path; null, with a fault, where it is not a file inside the manifest's folder. */
export async function locateFile(
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
