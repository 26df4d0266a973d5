import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { meanModel, slowModel } from '../support/onnx-fixture.ts';
import { exited } from '../support/processes.ts';
import { ProtocolClient, type WireTensor } from '../support/protocol-client.ts';
import { startWorkerCommand, workerCommand } from '../support/worker-command.ts';

/** Two images of 2 × 2 pixels: channel means 10, 20, 30 and 1, 2, 3. */
const pixels = [8, 20, 30, 12, 20, 30, 10, 20, 30, 10, 20, 30, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3];
const images = { name: 'images', datatype: 'UINT8', shape: [2, 2, 2, 3] };
const inJson: WireTensor = { ...images, data: pixels };
const inBinary: WireTensor = { ...images, bytes: Uint8Array.from(pixels) };
const means = [10, 20, 30, 1, 2, 3];

/** A worker that holds `mean`, and `slow`: the same means negated `rounds` times, with `rounds` beside them. */
async function start() {
  const { address, artifacts, child } = await startWorkerCommand();
  const client = new ProtocolClient(address);
  for (const [name, graph] of [
    ['mean', meanModel(2, 1)],
    ['slow', slowModel(2)],
  ] as const) {
    const parameters = { sha256: artifacts.put(graph) };
    const loaded = await client.json('POST', `/v2/repository/models/${name}/load`, { parameters });
    expect(loaded.status).toBe(200);
  }
  return { client, child };
}

function floats(bytes: Buffer | undefined): number[] {
  return Array.from({ length: (bytes?.length ?? 0) / 4 }, (_, index) => bytes!.readFloatLE(4 * index));
}

it('tells its health and what it is', async () => {
  const { client } = await start();
  expect(await client.json('GET', '/v2/health/live')).toEqual({ status: 200, body: { live: true } });
  expect((await client.json('GET', '/v2/health/ready')).status).toBe(200);
  expect(await client.json('GET', '/v2')).toEqual({
    status: 200,
    body: {
      name: 'fovea',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      extensions: expect.arrayContaining([
        'binary_tensor_data',
        'model_repository',
        'schedule_policy',
        'statistics',
      ]),
    },
  });
});

it.each(['/v2/models/slow', '/v2/models/slow/versions/1'])('describes a model at %s', async (path) => {
  const { client } = await start();
  expect(await client.json('GET', path)).toEqual({
    status: 200,
    body: {
      name: 'slow',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [
        { name: 'images', datatype: 'UINT8', shape: [-1, 2, 2, 3] },
        { name: 'rounds', datatype: 'INT64', shape: [1] },
      ],
      outputs: [
        { name: 'means', datatype: 'FP32', shape: [-1, 3] },
        { name: 'counted', datatype: 'INT64', shape: [1] },
      ],
      parameters: { memory_bytes: expect.any(Number) },
    },
  });
  expect(await client.json('GET', `${path}/ready`)).toEqual({
    status: 200,
    body: { name: 'slow', ready: true },
  });
});

it('answers JSON in JSON', async () => {
  const { client } = await start();
  for (const path of ['/v2/models/mean/infer', '/v2/models/mean/versions/1/infer']) {
    const nested = [
      [
        [pixels.slice(0, 3), pixels.slice(3, 6)],
        [pixels.slice(6, 9), pixels.slice(9, 12)],
      ],
      [
        [pixels.slice(12, 15), pixels.slice(15, 18)],
        [pixels.slice(18, 21), pixels.slice(21)],
      ],
    ];
    for (const input of [inJson, { ...images, data: nested }]) {
      const { status, header, bytes } = await client.infer(path, { id: 'café-1', inputs: [input] });
      expect([status, bytes.size]).toEqual([200, 0]);
      expect(header).toEqual({
        model_name: 'mean',
        model_version: '1',
        id: 'café-1',
        parameters: {
          compute_ms: expect.any(Number),
          device: 'cpu',
          queue_ms: expect.any(Number),
          batch_size: 2,
        },
        outputs: [{ name: 'means', datatype: 'FP32', shape: [2, 3], data: means }],
      });
    }
  }
});

it('answers binary in what it is asked for: JSON, all binary, or each output as it likes', async () => {
  const { client } = await start();
  const path = '/v2/models/mean/infer';
  const plain = await client.infer(path, { inputs: [inBinary] });
  expect(plain.header.outputs).toEqual([{ name: 'means', datatype: 'FP32', shape: [2, 3], data: means }]);
  expect(plain.header).not.toHaveProperty('id');

  const binary = { name: 'means', datatype: 'FP32', shape: [2, 3], parameters: { binary_data_size: 24 } };
  const wishes = [
    { parameters: { binary_data_output: true } },
    { outputs: [{ name: 'means', parameters: { binary_data: true } }] },
    {
      outputs: [{ name: 'means', parameters: { binary_data: true } }],
      parameters: { binary_data_output: false },
    },
  ];
  for (const wish of wishes) {
    const { header, bytes } = await client.infer(path, { inputs: [inBinary], ...wish });
    expect(header.outputs).toEqual([binary]);
    expect(floats(bytes.get('means'))).toEqual(means);
  }
  const overruled = await client.infer(path, {
    inputs: [inJson],
    outputs: [{ name: 'means', parameters: { binary_data: false } }],
    parameters: { binary_data_output: true },
  });
  expect(overruled.header.outputs[0].data).toEqual(means);
});

it('takes binary and JSON tensors in one message, and answers them so, in the order asked for', async () => {
  const { client } = await start();
  const rounds = Buffer.alloc(8);
  rounds.writeBigInt64LE(3n);
  const negated = means.map((value) => -value);
  const inputs: [WireTensor, WireTensor][] = [
    [inBinary, { name: 'rounds', datatype: 'INT64', shape: [1], data: [3] }],
    [inJson, { name: 'rounds', datatype: 'INT64', shape: [1], bytes: rounds }],
  ];
  for (const [image, count] of inputs) {
    for (const order of [
      [image, count],
      [count, image],
    ]) {
      const { status, header, bytes } = await client.infer('/v2/models/slow/infer', {
        inputs: order,
        outputs: [{ name: 'counted' }, { name: 'means', parameters: { binary_data: true } }],
      });
      expect(status).toBe(200);
      expect(header.outputs).toEqual([
        { name: 'counted', datatype: 'INT64', shape: [1], data: [3] },
        { name: 'means', datatype: 'FP32', shape: [2, 3], parameters: { binary_data_size: 24 } },
      ]);
      expect(floats(bytes.get('means'))).toEqual(negated);
    }
  }
});

it('answers errors with their reason, and goes on', async () => {
  const { client, child } = await start();
  const error = { error: expect.stringMatching(/./) };
  const infer = '/v2/models/mean/infer';
  const calls: [status: number, method: 'GET' | 'POST', path: string, body?: unknown][] = [
    [404, 'GET', '/v2/models/none'],
    [404, 'GET', '/v2/models/none/ready'],
    [404, 'GET', '/v2/models/mean/versions/2'],
    [404, 'GET', '/v2/models/mean/versions/2/ready'],
    [404, 'POST', '/v2/models/none/infer', { inputs: [inJson] }],
    [404, 'POST', '/v2/models/mean/versions/2/infer', { inputs: [inJson] }],
    [404, 'GET', '/v3'],
    [405, 'GET', infer],
    [400, 'POST', infer],
    [400, 'POST', infer, { inputs: [] }],
    [400, 'POST', infer, { inputs: [{ ...inJson, datatype: 'FP32' }] }],
    [400, 'POST', infer, { inputs: [{ ...inJson, shape: [1, 2, 2, 3] }] }],
    [400, 'POST', infer, { inputs: [inJson], outputs: [{ name: 'boxes' }] }],
    [404, 'POST', '/v2/repository/models/none/load', { parameters: { sha256: 'a'.repeat(64) } }],
  ];
  for (const [status, method, path, body] of calls) {
    expect([path, await client.json(method, path, body)]).toEqual([path, { status, body: error }]);
  }
  expect((await client.infer(infer, { inputs: [inJson] })).status).toBe(200);
  child.kill('SIGTERM');
  expect(await exited(child)).toBe(0);
});

const tlsFile = (name: string) => resolve(import.meta.dirname, '../support/tls', name);

it('serves HTTPS to who has its token', async () => {
  const token = 'a-token-of-this-test';
  const { address } = await startWorkerCommand({
    args: ['--tls-cert', tlsFile('worker-cert.pem'), '--tls-key', tlsFile('worker-key.pem')],
    env: { FOVEA_WORKER_TOKEN: token },
  });
  expect(address).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const ca = readFileSync(tlsFile('worker-cert.pem'));
  const statusWith = (headers: Record<string, string>) =>
    new Promise((settle, reject) => {
      get(`${address}/v2/health/ready`, { ca, headers, agent: false }, (answer) =>
        settle(answer.resume().statusCode),
      ).once('error', reject);
    });
  expect(await statusWith({})).toBe(401);
  expect(await statusWith({ authorization: `Bearer ${token}` })).toBe(200);
});

it.each([
  [['--tls-cert', 'x.pem'], 2, '--tls-cert and --tls-key: one needs the other.'],
  [['--tls-key', 'x.pem'], 2, '--tls-cert and --tls-key: one needs the other.'],
  [['--tls-cert', '/none.pem', '--tls-key', '/none.pem'], 1, '--tls-cert /none.pem: it cannot be read'],
  [['--tls-cert', tlsFile('worker-cert.pem'), '--tls-key', tlsFile('other-key.pem')], 1, 'mismatch'],
])('does not start with %j', (args, exitCode, message) => {
  const { status, stderr } = spawnSync(...workerCommand(...args), { encoding: 'utf8' });
  expect([status, stderr]).toEqual([exitCode, expect.stringContaining(message)]);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
