import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and PostgreSQL, and can lose what they say to each other: the cases in which nobody knows. */
export interface LossyProxy {
  /** Connection string that leads through the proxy. */
  readonly url: string;
  /** Answers lost so far. */
  readonly swallowed: number;
  /** The next statement that contains `text` reaches the server; its answer is lost with its connection. null: no further one. */
  swallowAnswerTo(text: string | null): void;
  /**
   * From the next statement that contains `text` on, its connection stays open and silent: the statement is not carried out, and
   * nothing passes any more. As where a firewall forgot the flow.
   */
  muteAt(text: string): void;
  /** Connections that are open and silent. */
  readonly muted: number;
  /** From now on until `false` nothing passes, either way, nor is a connection made: the cable is out. */
  cut(isCut: boolean): void;
  /** Whatever clients say says `to` instead of `from` from now on: of one length, as messages carry theirs. */
  rewrite(from: string, to: string): void;
  /** Cuts all connections and takes no more. */
  close(): Promise<void>;
}

export async function openLossyProxy(url: string): Promise<LossyProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const silent = new Set<Socket>();
  let prey: string | null = null;
  let muteAt: string | null = null;
  let rewriting: { from: string; to: string } | null = null;
  let swallowed = 0;
  let isCut = false;

  const server = createServer((client) => {
    // Whoever connects meanwhile hears nothing, as of a machine that is not there.
    if (isCut) silent.add(client);
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
        silent.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      if (prey !== null && chunk.includes(prey)) {
        prey = null;
        doomed = true;
      }
      if (muteAt !== null && chunk.includes(muteAt)) {
        muteAt = null;
        silent.add(client);
      }
      if (silent.has(client)) return;
      const said = chunk.toString('latin1');
      upstream.write(rewriting ? Buffer.from(said.replace(rewriting.from, rewriting.to), 'latin1') : chunk);
    });
    upstream.on('data', (chunk) => {
      if (silent.has(client)) return;
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
    muteAt(text) {
      muteAt = text;
    },
    get muted() {
      return silent.size;
    },
    cut(is) {
      isCut = is;
      // What was said meanwhile is lost, so that no connection of before can be of use.
      if (is) for (const socket of sockets) silent.add(socket);
      else for (const socket of silent) socket.destroy();
    },
    rewrite(from, to) {
      if (from.length !== to.length) throw new TypeError(`'${from}' and '${to}' are not of one length`);
      rewriting = { from, to };
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
