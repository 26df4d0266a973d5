import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and PostgreSQL, and can lose an answer on its way back: the case in which nobody knows. */
export interface LossyProxy {
  /** Connection string that leads through the proxy. */
  readonly url: string;
  /** Answers lost so far. */
  readonly swallowed: number;
  /** The next statement that contains `text` reaches the server and is carried out; its answer is lost with its connection. */
  swallowAnswerTo(text: string): void;
  /** Cuts all connections and takes no more. */
  close(): Promise<void>;
}

export async function openLossyProxy(url: string): Promise<LossyProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let prey: string | null = null;
  let swallowed = 0;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let doomed = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // An error is followed by 'close', which ends both sides.
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      if (prey !== null && chunk.includes(prey)) {
        prey = null;
        doomed = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!doomed) {
        client.write(chunk);
        return;
      }
      // The statement is one transaction: 'ReadyForQuery' (Z, its length, idle) is sent once it is committed.
      if (chunk.includes(Buffer.from([0x5a, 0, 0, 0, 5, 0x49]))) {
        swallowed++;
        end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as AddressInfo).port);

  return {
    url: through.href,
    get swallowed() {
      return swallowed;
    },
    swallowAnswerTo(text) {
      prey = text;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
