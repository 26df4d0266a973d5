import { once } from 'node:events';
import { createServer } from 'node:net';

const given = new Set<number>();

/**
 * A free port of 127.0.0.1 for a server that leaves it and comes back, as after a restart. It is below those that systems
 * give to whoever asks for any, client or server (Linux: from 32,768 on), so that nobody else is there meanwhile.
 */
export async function keepablePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    if (given.has(port)) continue;
    given.add(port);
    const probe = createServer();
    probe.listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE') return false;
        throw error;
      },
    );
    if (!isFree) continue;
    await once(probe.close(), 'close');
    return port;
  }
}
