import { connect } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { AttentiveClock } from '../../../src/inference/worker/attentive-clock.ts';
import type { WorkerOptions } from '../../../src/inference/worker/worker.ts';
import { heldEngine } from '../../support/held-engine.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

const infer = '/v2/models/mean/infer';
/** Answered by far more than sockets hold: 12 bytes an image. */
const IMAGES = 1_000_000;

async function start(options: Partial<WorkerOptions>, overrides: Parameters<typeof startWorker>[1] = {}) {
  const { worker, client, artifacts } = await startWorker(options, overrides);
  await client.load('mean', { sha256: artifacts.put(meanModel(1, 1)) });
  const { hostname, port } = new URL(worker.address);
  const open = () => {
    const socket = connect(Number(port), hostname).on('error', () => undefined);
    onTestFinished(() => {
      socket.destroy();
    });
    return socket;
  };
  /** A connection on which a large answer is asked for and nothing is read. */
  const askForMuch = () => {
    const input = {
      name: 'images',
      datatype: 'UINT8',
      shape: [IMAGES, 1, 1, 3],
      parameters: { binary_data_size: 3 * IMAGES },
    };
    const header = JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } });
    const socket = open().pause();
    socket.write(
      `POST ${infer} HTTP/1.1\r\nhost: x\r\ninference-header-content-length: ${header.length}\r\ncontent-length: ${header.length + 3 * IMAGES}\r\n\r\n${header}`,
    );
    socket.write(Buffer.alloc(3 * IMAGES, 4));
    return socket;
  };
  const small = { name: 'images', datatype: 'UINT8', shape: [1, 1, 1, 3], data: [4, 4, 4] };
  const ask = () => http(worker.address, 'POST', infer, JSON.stringify({ inputs: [small] }));
  const untilAnswered = (count: number) =>
    vi.waitFor(
      async () => {
        const answer = json(await http(worker.address, 'GET', '/v2/models/mean/stats'));
        expect(answer.body.model_stats[0].execution_count).toBe(count);
      },
      { timeout: 60_000 },
    );
  const untilAnsweredAgain = () =>
    vi.waitFor(async () => expect((await ask()).status).toBe(200), { timeout: 60_000 });
  return { base: worker.address, open, askForMuch, ask, untilAnswered, untilAnsweredAgain };
}

it('has no room for more while its answers are not read, and has it again when their clients hang up', async () => {
  const { askForMuch, ask, untilAnswered, untilAnsweredAgain } = await start({
    admission: { requests: 4, bytes: 2 ** 30 },
  });
  const sockets = [askForMuch(), askForMuch()];
  await untilAnswered(2);
  expect((await ask()).status).toBe(503);
  for (const socket of sockets) socket.destroy();
  await untilAnsweredAgain();
});

it('weighs the answers that it has not got rid of', async () => {
  const { askForMuch, ask, untilAnswered, untilAnsweredAgain } = await start({
    admission: { requests: 100, bytes: 5_000_000 },
  });
  const socket = askForMuch();
  await untilAnswered(1);
  expect((await ask()).status).toBe(503);
  socket.destroy();
  await untilAnsweredAgain();
});

it('ends the connection of a client that does not read its answer', async () => {
  const { askForMuch, untilAnswered, untilAnsweredAgain } = await start(
    { admission: { requests: 1, bytes: 2 ** 30 } },
    { clock: new AttentiveClock(5, 2_000) },
  );
  const socket = askForMuch();
  await untilAnswered(1);
  await untilAnsweredAgain();
  // What the system had of it is all that comes.
  let read = 0;
  await new Promise((resolve) => {
    socket.on('data', ({ length }) => {
      read += length;
    });
    socket.once('close', resolve);
    socket.resume();
  });
  expect(read).toBeLessThan(12 * IMAGES);
});

it('leaves those alone that read slowly', async () => {
  // Half a minute in a second: the answer takes longer, and no part of it does.
  const { askForMuch } = await start({}, { clock: new AttentiveClock(5, 150) });
  const socket = askForMuch();
  let read = 0;
  socket.on('data', ({ length }) => {
    read += length;
    socket.pause();
    setTimeout(() => socket.resume(), 10);
  });
  socket.resume();
  await vi.waitUntil(() => read > 12 * IMAGES || socket.destroyed, { timeout: 60_000 });
  expect(read).toBeGreaterThan(12 * IMAGES);
});

it('forgets all the requests of a connection that ends before the first is answered', async () => {
  const engine = heldEngine();
  const { open, ask, untilAnsweredAgain } = await start(
    { admission: { requests: 2, bytes: 2 ** 20 } },
    { engines: engine.engines },
  );
  engine.runs.length = 0;
  const release = engine.hold();
  const small = { name: 'images', datatype: 'UINT8', shape: [1, 1, 1, 3], data: [4, 4, 4] };
  const body = JSON.stringify({ inputs: [small] });
  const request = `POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const socket = open();
  socket.write(request + request);
  await vi.waitFor(async () => expect((await ask()).status).toBe(503), { timeout: 60_000 });
  socket.destroy();
  release();
  await untilAnsweredAgain();
  const others = [ask(), ask()];
  expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200]);
});

it('keeps neither a place nor room for those who announce a body and send little of it', async () => {
  const { base, open, ask } = await start({ admission: { requests: 2, bytes: 2 ** 20 } });
  const idle = [open(), open(), open()];
  const head = `POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: ${2 ** 20}\r\n\r\n`;
  for (const socket of idle) socket.write(`${head}{"inputs"`);
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  for (let index = 0; index < 3; index++) expect((await http(base, 'GET', '/v2')).status).toBe(200);
  expect((await ask()).status).toBe(200);
});

it('refuses a body for which there is no room any more when it comes, and counts that', async () => {
  const { base, open, ask } = await start({ admission: { requests: 9, bytes: 1_000_000 } });
  const half = Buffer.alloc(600_000, ' ');
  const head = `POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n`;
  const [first, second] = [open(), open()];
  const refused = new Promise<string>((resolve) => {
    for (const socket of [first, second]) socket.once('data', (data) => resolve(String(data)));
  });
  for (const socket of [first, second]) socket.write(head);
  for (let index = 0; index < 3; index++) expect((await http(base, 'GET', '/v2')).status).toBe(200);
  for (const socket of [first, second]) socket.write(half);
  expect(await refused).toMatch(/^HTTP\/1.1 503 /);
  const statistics = json(await http(base, 'GET', '/v2/models/mean/stats')).body.model_stats[0];
  expect(statistics.inference_stats.fail.count).toBe(1);
  expect((await http(base, 'GET', '/metrics')).body.toString()).toContain(
    '\nfovea_requests_refused_total 1\n',
  );
  expect((await ask()).status).toBe(200);
});
