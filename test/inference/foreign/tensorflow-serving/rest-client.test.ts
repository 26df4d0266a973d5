import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { RestServingClient } from '../../../../src/inference/foreign/tensorflow-serving/rest-client.ts';
import { bytesOf, elementsOf } from '../../../../src/inference/oip/elements.ts';
import type { Tensor } from '../../../../src/inference/tensor.ts';
import { tensorThreads } from '../../../support/remote-worker.ts';

const never = new AbortController().signal;
const model = { name: 'net', version: 3 };
const input: Tensor = {
  ...{ name: 'x', datatype: 'FP32', shape: [2, 1, 2] },
  data: bytesOf(Float32Array.of(1, -0.5, 0.1, 1e-7)),
};
const scores = { name: 'scores', datatype: 'FP32', shape: [-1, 2] };
const boxes = { name: 'boxes', datatype: 'INT64', shape: [-1, 1, 2] };

/** What is asked of a server that answers `status` and `answer` to all. */
async function serve(answer: unknown, status = 200, path = '') {
  const asked: { line: string; body: unknown }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      asked.push({ line: `${request.method} ${request.url}`, body: text === '' ? null : JSON.parse(text) });
      response.statusCode = status;
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new RestServingClient({ baseUrl: `http://127.0.0.1:${port}${path}` }, tensorThreads());
  onTestFinished(async () => {
    await client.close();
    server.closeAllConnections();
    server.close();
  });
  return { client, asked };
}

const predict = (client: RestServingClient, outputs = [scores]) =>
  client.predict(model, { signature: 'serving_default', input, outputs }, never);

it.each<[string, unknown]>([
  [
    'rows',
    {
      predictions: [
        [0.25, 0.75],
        [1, 0],
      ],
    },
  ],
  ['rows of one that is named', { predictions: [{ scores: [0.25, 0.75] }, { scores: [1, 0] }] }],
  [
    'columns',
    {
      outputs: [
        [0.25, 0.75],
        [1, 0],
      ],
    },
  ],
  [
    'columns that are named',
    {
      outputs: {
        scores: [
          [0.25, 0.75],
          [1, 0],
        ],
        other: [1],
      },
    },
  ],
])('asks by instances, and reads an output in %s', async (_, answer) => {
  const { client, asked } = await serve(answer, 200, '/behind/a/prefix');
  const [tensor] = await predict(client);
  expect(tensor).toMatchObject({ name: 'scores', datatype: 'FP32', shape: [2, 2] });
  expect([...elementsOf('FP32', tensor!.data)]).toEqual([0.25, 0.75, 1, 0]);
  expect(asked).toEqual([
    {
      line: 'POST /behind/a/prefix/v1/models/net/versions/3:predict',
      body: {
        signature_name: 'serving_default',
        instances: [[[1, -0.5]], [[Math.fround(0.1), Math.fround(1e-7)]]],
      },
    },
  ]);
});

it('reads several outputs, each by its type', async () => {
  const { client } = await serve({
    predictions: [
      { scores: [0.5, 0.5], boxes: [[1, 2]] },
      { scores: [0.1, 0.9], boxes: [[3, 4]] },
    ],
  });
  const tensors = await predict(client, [scores, boxes]);
  expect(tensors.map(({ name, shape }) => [name, shape])).toEqual([
    ['scores', [2, 2]],
    ['boxes', [2, 1, 2]],
  ]);
  expect([...elementsOf('INT64', tensors[1]!.data)]).toEqual([1n, 2n, 3n, 4n]);
});

it('reads a large answer in a thread, and says what is wrong with one', async () => {
  const row = Array.from({ length: 100_000 }, (_, at) => at / 8);
  const wide = { name: 'scores', datatype: 'FP32', shape: [-1, row.length] };
  const whole = await serve({ predictions: [row] });
  const [tensor] = await predict(whole.client, [wide]);
  expect([...elementsOf('FP32', tensor!.data)]).toEqual(row);
  const odd = await serve({ predictions: [[...row, 'x']] });
  await expect(predict(odd.client, [wide])).rejects.toMatchObject({
    name: 'WorkerFaultError',
    status: 502,
    message: /'scores'.*"x"/,
  });
});

it.each<[string, unknown, RegExp]>([
  ['no JSON', '{"predictions": [NaN]}', /not JSON/],
  ['no predictions', { answer: 42 }, /neither predictions nor outputs/],
  [
    'rows of different lengths',
    { predictions: [[1], [2, 3]] },
    /'scores': expected a list of 1, as before it, and found \[2,3\]/,
  ],
  ['text', { predictions: [['a', 'b']] }, /'scores': expected a number at element 0, found "a"/],
  ['another output', { predictions: [{ other: [1, 2] }] }, /'scores'/],
])('refuses %s', async (_, answer, message) => {
  const { client } = await serve(answer);
  await expect(predict(client)).rejects.toMatchObject({ name: 'WorkerFaultError', status: 502, message });
});

it('refuses lists in lists without end, where the rank is not declared and where it is', async () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  const { client } = await serve(`{"predictions":${deep}}`);
  await expect(predict(client, [{ ...scores, shape: null } as never])).rejects.toMatchObject({
    ...{ name: 'WorkerFaultError', message: /'scores': it has more than 16 dimensions/ },
  });
  const odd = await serve(`{"predictions":[[1],[2,${deep}]]}`);
  await expect(predict(odd.client)).rejects.toMatchObject({
    ...{ name: 'WorkerFaultError', message: /'scores': expected a list of 1, .* nested too deeply/ },
  });
});

it('reads what a model is, and whether it can be asked', async () => {
  const signature = {
    inputs: {
      x: {
        dtype: 'DT_FLOAT',
        tensor_shape: { dim: [{ size: '-1', name: '' }, { size: '4' }], unknown_rank: false },
      },
    },
    outputs: { y: { dtype: 'DT_STRING', tensor_shape: { dim: [], unknown_rank: true } } },
  };
  const told = await serve({
    metadata: { signature_def: { signature_def: { serving_default: signature } } },
  });
  expect(Object.fromEntries(await told.client.signatures(model, never))).toEqual({
    serving_default: {
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'DT_STRING', shape: null }],
    },
  });
  expect(told.asked[0]!.line).toBe('GET /v1/models/net/versions/3/metadata');
  for (const state of ['AVAILABLE', 'LOADING']) {
    const { client } = await serve({ model_version_status: [{ version: '3', state }] });
    expect(await client.isAvailable(model, never)).toBe(state === 'AVAILABLE');
  }
  const empty = await serve({ metadata: {} });
  await expect(empty.client.signatures(model, never)).rejects.toMatchObject({
    ...{ name: 'WorkerFaultError', reason: 'protocol', message: /no signature_def/ },
  });
});

it('tells a refusal from a server that is overloaded or not such a one', async () => {
  const none = await serve({ error: 'Could not find any versions of model' }, 404);
  await expect(none.client.requireReady(never)).resolves.toBeUndefined();
  await expect(none.client.isAvailable(model, never)).rejects.toMatchObject({
    status: 404,
    message: /Could not find/,
  });
  const wrong = await serve({ error: 'input must be of rank 4' }, 400);
  await expect(predict(wrong.client)).rejects.toMatchObject({
    name: 'OipError',
    status: 400,
    message: /rank 4/,
  });
  const busy = await serve('', 503);
  await expect(predict(busy.client)).rejects.toMatchObject({ name: 'WorkerLostError' });
  await expect(busy.client.requireReady(never)).rejects.toMatchObject({ name: 'WorkerLostError' });
  const page = await serve('<html>');
  await expect(page.client.requireReady(never)).rejects.toMatchObject({
    ...{ name: 'WorkerFaultError', reason: 'protocol', message: /no JSON object/ },
  });
  for (const other of ['<html>Not Found</html>', '{"detail":"Not Found"}']) {
    const { client } = await serve(other, 404);
    await expect(client.requireReady(never)).rejects.toMatchObject({ name: 'OipError', status: 404 });
  }
});
