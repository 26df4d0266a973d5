import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { type Listening, listen } from '../../src/graphql/listen.ts';

const open: Listening[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function listenOn(port: number, server = createServer()): Promise<Listening> {
  const listening = await listen(server, port, '127.0.0.1');
  open.push(listening);
  return listening;
}

const connectAll = `
  const { connect } = require('node:net');
  const { port, count } = require('node:worker_threads').workerData;
  for (let index = 0; index < count; index += 1) connect(port, '127.0.0.1').on('error', () => {});
`;

test.runIf(process.platform === 'linux')(
  'takes many connections in a turn of the event loop, however long one takes',
  async () => {
    const count = 200;
    const sockets: Socket[] = [];
    const server = createServer();
    server.on('connection', (socket) => sockets.push(socket));
    const { port } = await listenOn(0, server);
    const crowd = new Worker(connectAll, { eval: true, workerData: { port, count } });
    let turns = 0;
    for (let all = 0; sockets.length < count && all < 5 * count; all += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (sockets.length > 0) turns += 1;
      const end = performance.now() + 10;
      while (performance.now() < end) {}
    }
    await crowd.terminate();
    for (const socket of sockets) socket.destroy();
    expect(sockets).toHaveLength(count);
    // One a turn would take as many turns as there are connections.
    expect(turns).toBeLessThan(count / 3);
  },
);

test('whichever of its sockets a connection came by, it is answered, and closing waits for it', async () => {
  const server = createServer((_request, response) => response.end('here'));
  const listening = await listenOn(0, server);
  const answers = await Promise.all(
    Array.from({ length: 64 }, async () => (await fetch(`http://127.0.0.1:${listening.port}`)).text()),
  );
  expect(answers).toEqual(Array(64).fill('here'));
  const held = connect(listening.port, '127.0.0.1');
  await new Promise((resolve) => held.once('connect', resolve));
  let isClosed = false;
  const closing = listening.close().then(() => {
    isClosed = true;
  });
  await expect(fetch(`http://127.0.0.1:${listening.port}`)).rejects.toThrow();
  expect(isClosed).toBe(false);
  held.destroy();
  server.closeAllConnections();
  await closing;
});

test('a port that is taken is no port, by one of its own kind or another, also where both want it at once', async () => {
  const { port } = await listenOn(0);
  await expect(listenOn(port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await open.pop()!.close();
  const several = await Promise.allSettled(Array.from({ length: 8 }, () => listenOn(port)));
  expect(several.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await open.pop()!.close();

  const stranger = createTcpServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => stranger.once('listening', resolve));
  await expect(listenOn(port)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await new Promise((resolve) => stranger.close(resolve));
  const { close } = await listenOn(port);
  if (process.platform !== 'linux') return;
  // Any user of the machine can reach what keeps others off the port.
  const visitor = connect(`\0fovea 127.0.0.1 ${port}`);
  await new Promise((resolve) => visitor.once('connect', resolve));
  await close();
  visitor.destroy();
});
