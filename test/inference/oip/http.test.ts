import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { HttpConnections } from '../../../src/inference/oip/http.ts';

it('has a hundred requests at the server at once: it is the server that chooses among them', async () => {
  const waiting: ServerResponse[] = [];
  const server = createServer((_, response) => {
    if (waiting.push(response) === 100) for (const each of waiting) each.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connections = new HttpConnections({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  onTestFinished(async () => {
    await connections.close();
    server.close();
  });
  const ask = () => connections.exchange({ method: 'GET', path: '/', maxBytes: 100 });
  const answers = await Promise.all(Array.from({ length: 100 }, ask));
  expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(200));
});
