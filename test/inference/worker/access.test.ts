import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import { readTls } from '../../../src/inference/worker/tls.ts';
import { runWorker, type WorkerOptions } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { http, json, startWorker } from './in-process-worker.ts';

const token = 'a-token-of-this-test!~';
const tlsFolder = resolve(import.meta.dirname, '../../support/tls');
const tlsFile = (name: string) => resolve(tlsFolder, name);

it('asks every call for its token but the one whether it lives', async () => {
  const { worker } = await startWorker({ token });
  expect((await http(worker.address, 'GET', '/v2/health/live')).status).toBe(200);
  const calls: [string, string][] = [
    ['GET', '/v2'],
    ['GET', '/v2/health/ready'],
    ['GET', '/v2/models/mean'],
    ['POST', '/v2/models/mean/infer'],
    ['POST', '/v2/repository/index'],
    ['POST', '/v2/repository/models/mean/load'],
    ['HEAD', `/v2/repository/artifacts/${'a'.repeat(64)}`],
    ['PUT', `/v2/repository/artifacts/${'a'.repeat(64)}`],
    ['GET', '/nowhere'],
  ];
  for (const [method, path] of calls) {
    const refused = await http(worker.address, method, path);
    expect([path, refused.status, refused.headers['www-authenticate']]).toEqual([path, 401, 'Bearer']);
    if (method !== 'HEAD') {
      expect(json(refused).body).toEqual({ error: expect.stringContaining('Authorization: Bearer <token>') });
    }
    const allowed = await http(worker.address, method, path, '', { authorization: `Bearer ${token}` });
    expect([path, allowed.status]).not.toEqual([path, 401]);
  }
});

it.each([
  `Bearer ${token}x`,
  `Bearer ${token.slice(1)}`,
  'Bearer',
  `Basic ${Buffer.from(token).toString('base64')}`,
  token,
  `Bearer ${token} ${token}`,
])('takes %j for no token', async (authorization) => {
  const { worker } = await startWorker({ token });
  const answer = json(await http(worker.address, 'GET', '/v2', '', { authorization }));
  expect(answer).toEqual({ status: 401, body: { error: expect.not.stringContaining(token) } });
});

it('takes the scheme as HTTP spells it, in any case', async () => {
  const { worker } = await startWorker({ token });
  const answer = await http(worker.address, 'GET', '/v2', '', { authorization: `bearer ${token}` });
  expect(answer.status).toBe(200);
});

it('obeys no page that is open in a browser on its machine', async () => {
  const { worker } = await startWorker();
  const page = { origin: 'https://page.example', 'content-type': 'text/plain' };
  const answer = json(await http(worker.address, 'POST', '/v2/repository/models/mean/unload', '', page));
  expect(answer).toEqual({ status: 403, body: { error: expect.stringContaining('https://page.example') } });
});

/** A worker's log where it is started so. */
async function logOf(options: Partial<WorkerOptions>): Promise<string> {
  const lines: string[] = [];
  const logger = createLogger('warn', { write: (line) => void lines.push(line) });
  const worker = await runWorker(
    { listen: '', artifacts: artifactFolder().dir, threads: 1, ...options },
    logger,
  );
  await worker.close();
  return lines.join('');
}

it('warns once where others can reach it and it asks for no token', async () => {
  expect((await logOf({ listen: '0.0.0.0:0' })).split('\n')).toEqual([
    expect.stringContaining('FOVEA_WORKER_TOKEN is not set'),
    '',
  ]);
  expect(await logOf({ listen: '0.0.0.0:0', token })).toBe('');
  expect(await logOf({ listen: '127.0.0.1:0' })).toBe('');
  expect(await logOf({ listen: `unix:${artifactFolder().dir}/worker` })).toBe('');
});

it('speaks HTTPS with a certificate, and says so', async () => {
  const tls = await readTls(tlsFile('worker-cert.pem'), tlsFile('worker-key.pem'));
  const { worker } = await startWorker({ tls, token });
  expect(worker.address).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const ca = readFileSync(tlsFile('worker-cert.pem'));
  const headers = { authorization: `Bearer ${token}` };
  const body = await new Promise<string>((settle, reject) => {
    request(`${worker.address}/v2`, { ca, headers, agent: false }, async (answer) => {
      settle(Buffer.concat(await answer.toArray()).toString());
    })
      .once('error', reject)
      .end();
  });
  expect(JSON.parse(body)).toMatchObject({ name: 'fovea' });
  // Who does not know the certificate does not get as far as asking.
  const client = new OipClient({ baseUrl: worker.address });
  onTestFinished(() => client.close());
  await expect(client.requireReady()).rejects.toThrow(/self.signed/);
});

it('names a certificate or key that it cannot use', async () => {
  const [cert, key] = [tlsFile('worker-cert.pem'), tlsFile('worker-key.pem')];
  await expect(readTls(tlsFile('none.pem'), key)).rejects.toThrow(
    /^--tls-cert .*none\.pem: it cannot be read/,
  );
  await expect(readTls(cert, tlsFile('none.pem'))).rejects.toThrow(
    /^--tls-key .*none\.pem: it cannot be read/,
  );
  await expect(readTls(cert, tlsFile('other-key.pem'))).rejects.toThrow(
    /--tls-key .*other-key\.pem.*mismatch/,
  );
  await expect(readTls(key, key)).rejects.toThrow(/wanted a certificate and its key, both PEM/);
});
