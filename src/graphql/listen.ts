import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net';

/**
 * Node takes one connection off a listening socket in each turn of its event loop (libuv's `uv__server_io`). While a turn takes
 * milliseconds, because many ask at once, whoever connects anew would wait behind each other for seconds; off so many sockets
 * it takes as many in a turn.
 */
const SOCKETS = 16;

/** Whether sockets may share a port, among which the kernel deals the connections: SO_REUSEPORT. */
const canShare = process.platform === 'linux';

export interface Listening {
  readonly port: number;
  /** Takes no more connections, and settles when those that were taken are gone. */
  close(): Promise<void>;
}

/** Has `server` listen on `port`, 0: any free one. Rejects as `net.Server` does. */
export async function listen(server: HttpServer, port: number, host: string): Promise<Listening> {
  // A name may stand for several addresses: all sockets are to have the same.
  const { address } = await lookup(host);
  const lock = canShare && port !== 0 ? await requireFree(port, address) : null;
  const servers: Server[] = [];
  const close = async () => {
    await Promise.all([...servers, ...(lock ? [lock] : [])].map(closed));
  };
  try {
    servers.push(await listening(server, { port, host: address, reusePort: canShare }));
    const found = (server.address() as AddressInfo).port;
    while (canShare && servers.length < SOCKETS)
      servers.push(await listening(another(server), { port: found, host: address, reusePort: true }));
    return { port: found, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Connections that come to it are the server's. */
function another(server: HttpServer): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket));
}

/**
 * A port that a process shares among its sockets can be shared by another one as well, and no error tells it: so whoever wants
 * a port tries first whether it is taken. What it answers keeps others from trying at the same moment, as long as it is not closed.
 */
async function requireFree(port: number, host: string): Promise<Server> {
  // A name of the kernel's (`unix(7)`, abstract): it is gone with its process, however that ends.
  // Whoever connects to it is nobody's client, and would keep it from being closed.
  const lock = await listening(
    createServer((stranger) => stranger.destroy()),
    { path: `\0fovea ${host} ${port}` },
  ).catch((error: NodeJS.ErrnoException) => {
    // It would name the lock.
    if (error.code === 'EADDRINUSE') error.message = `another server takes ${host}:${port}`;
    throw error;
  });
  try {
    await closed(await listening(createServer(), { port, host }));
    return lock;
  } catch (error) {
    await closed(lock);
    throw error;
  }
}

async function listening<S extends Server>(server: S, options: ListenOptions): Promise<S> {
  server.listen(options);
  await once(server, 'listening');
  return server;
}

function closed(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}
