import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { OperatorError } from '../../lib/errors.ts';

export interface Place {
  /** `unix:<path>` or `<host>:<port>`. */
  readonly address: string;
  /** Whether this machine alone can reach it. */
  readonly isLocal: boolean;
}

/**
 * Binds `server` to `unix:<path>` or `<host>:<port>` (`[::1]:8000`; port 0: any free one) and says where it can be
 * reached. Throws OperatorError where that place is no address or is taken.
 */
export async function listen(server: Server, place: string): Promise<Place> {
  const where = parsePlace(place);
  if ('path' in where) await removeStaleSocket(where.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new OperatorError(`cannot listen on ${place}: ${error.message}`));
    });
    server.listen(where, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') return { address: `unix:${address}`, isLocal: true };
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { address: `${host}:${address.port}`, isLocal: /^(127\.|::1$)/.test(address.address) };
}

function parsePlace(place: string): { path: string } | { host: string; port: number } {
  if (place.startsWith('unix:') && place.length > 5) {
    const path = place.slice(5);
    // Beyond that the kernel cuts the path short without a word.
    if (Buffer.byteLength(path) <= 107) return { path };
    throw new OperatorError(`--listen ${place}: a Unix socket's path has at most 107 bytes`, 2);
  }
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[^:/[\]]+)):(?<port>\d{1,5})$/.exec(place);
  const port = Number(match?.groups?.port);
  const host = match?.groups?.v6 ?? match?.groups?.host;
  if (host && port <= 65_535) return { host, port };
  throw new OperatorError(`--listen ${place}: expected <host>:<port> or unix:<path>`, 2);
}

/** A killed worker leaves its socket behind, and nobody can listen on it again. One that answers is not stale. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null); // Absent, or listening will tell why not.
  if (!found) return;
  if (!found.isSocket())
    throw new OperatorError(`cannot listen on unix:${path}: the file there is not a socket`);
  const inUse = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  });
  if (inUse) throw new OperatorError(`cannot listen on unix:${path}: another process listens there`);
  await unlink(path);
}
