import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import type { Variant } from '../../../src/inference/variant.ts';
import { connectTo } from '../../support/remote-worker.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';

/**
 * A server of the Open Inference Protocol v2 written from the specification alone, without any of our protocol code: it holds
 * one model, which answers the mean of each channel.
 */
interface Manners {
  /** How it writes down what it computed. */
  readonly answer: (means: readonly number[], response: ServerResponse, asked: Asked) => void;
  /** What it answers to a question about readiness. */
  readonly ready?: (response: ServerResponse) => void;
}

/** What a request said, as the specification has it. */
interface Asked {
  readonly id?: string;
  readonly header: {
    readonly inputs: {
      name: string;
      shape: number[];
      datatype: string;
      parameters?: { binary_data_size: number };
    }[];
    readonly outputs?: { name: string }[];
    readonly parameters?: Record<string, unknown>;
  };
  readonly pixels: Buffer;
}

const asked: Asked[] = [];

async function read(request: IncomingMessage): Promise<Asked> {
  const body = Buffer.concat(await request.toArray());
  const headerLength = Number(request.headers['inference-header-content-length'] ?? body.byteLength);
  const header = JSON.parse(body.subarray(0, headerLength).toString('utf8')) as Asked['header'];
  const size = header.inputs[0]!.parameters!.binary_data_size;
  expect(size).toBe(header.inputs[0]!.shape.reduce((product, length) => product * length));
  expect(body.byteLength).toBe(headerLength + size);
  expect(Number(request.headers['content-length'])).toBe(body.byteLength);
  return { header, pixels: body.subarray(headerLength) };
}

async function serve({ answer, ready = (response) => response.end() }: Manners): Promise<string> {
  const server = createServer(async (request, response) => {
    const path = request.url!;
    if (request.method === 'GET' && path === '/v2/health/ready') return ready(response);
    if (request.method === 'GET' && path === '/v2/models/means/ready') return ready(response);
    if (request.method === 'POST' && path === '/v2/models/means/infer') {
      const question = await read(request);
      asked.push(question);
      const means = [0, 1, 2].map((channel) => {
        const values = [...question.pixels].filter((_, index) => index % 3 === channel);
        return values.reduce((sum, value) => sum + value, 0) / values.length;
      });
      return answer(means, response, question);
    }
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: `no such thing: ${path}` }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const variant: Variant = variantOf('means', 'a'.repeat(64));
const pixels = { ...pixelsOf(0), data: Uint8Array.from([10, 20, 30, 10, 20, 30, 10, 20, 30, 50, 60, 70]) };
const expected = [20, 30, 40];

async function answerOf(manners: Manners): Promise<number[]> {
  const { outputs } = await connectTo(await serve(manners)).infer(variant, pixels);
  expect(outputs).toMatchObject([{ name: 'means', datatype: 'FP32', shape: [1, 3] }]);
  return [...elementsOf('FP32', outputs[0]!.data)];
}

const json = (outputs: object, more: object = {}) =>
  JSON.stringify({ model_name: 'means', outputs, ...more });
const floats = (values: readonly number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => void bytes.writeFloatLE(value, 4 * index));
  return bytes;
};

it('asks as the specification has it', async () => {
  await answerOf({
    answer: (data, response) =>
      response.end(json([{ name: 'means', datatype: 'FP32', shape: [1, 3], data }])),
  });
  const { header, pixels: sent } = asked.at(-1)!;
  expect(header).toEqual({
    inputs: [
      { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], parameters: { binary_data_size: 12 } },
    ],
    outputs: [{ name: 'means', parameters: { binary_data: true } }],
    parameters: { binary_data_output: true },
  });
  expect([...sent]).toEqual([...pixels.data]);
});

it.each<[string, Manners]>([
  [
    'JSON alone, flat',
    {
      answer: (data, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(json([{ name: 'means', datatype: 'FP32', shape: [1, 3], data }]));
      },
    },
  ],
  [
    'JSON alone, nested as the tensor is, with more outputs than were asked for',
    {
      answer: (means, response) =>
        response.end(
          json([
            { name: 'count', datatype: 'INT64', shape: [1], data: [4] },
            { name: 'means', datatype: 'FP32', shape: [1, 3], data: [means] },
          ]),
        ),
    },
  ],
  [
    'binary data, behind a header of any length',
    {
      answer: (means, response) => {
        const header = json([
          { name: 'means', datatype: 'FP32', shape: [1, 3], parameters: { binary_data_size: 12 } },
        ]);
        response.setHeader('Inference-Header-Content-Length', header.length);
        response.end(Buffer.concat([Buffer.from(header), floats(means)]));
      },
    },
  ],
  [
    'a tensor in JSON and one in binary data, in one answer',
    {
      answer: (data, response) => {
        const header = json([
          { name: 'means', datatype: 'FP32', shape: [1, 3], data },
          { name: 'again', datatype: 'FP32', shape: [3], parameters: { binary_data_size: 12 } },
        ]);
        response.setHeader('inference-header-content-length', String(header.length));
        response.end(Buffer.concat([Buffer.from(header), floats(data)]));
      },
    },
  ],
  [
    'fields that nobody has heard of, and an empty readiness',
    {
      ready: (response) => response.writeHead(200, { 'content-length': 0 }).end(),
      answer: (data, response) =>
        response.end(
          json(
            [
              {
                name: 'means',
                datatype: 'FP32',
                shape: [1, 3],
                data,
                parameters: { layout: 'row' },
                unit: 'grey',
              },
            ],
            {
              model_version: '7',
              id: '',
              parameters: { sequence_id: 0, anything: { goes: [1] } },
              trace: null,
            },
          ),
        ),
    },
  ],
  [
    'none of the optional fields: neither name, version, id nor parameters',
    {
      answer: (data, response) =>
        response.end(JSON.stringify({ outputs: [{ name: 'means', datatype: 'FP32', shape: [1, 3], data }] })),
    },
  ],
  [
    'in chunks of a byte',
    {
      answer: (data, response) => {
        for (const byte of json([{ name: 'means', datatype: 'FP32', shape: [1, 3], data }]))
          response.write(byte);
        response.end();
      },
    },
  ],
  [
    'in chunks that break the header from the tensors anywhere, with header names in capitals',
    {
      answer: (means, response, { header }) => {
        const { name } = header.outputs![0]!;
        const head = json([{ name, datatype: 'FP32', shape: [1, 3], parameters: { binary_data_size: 12 } }]);
        response.setHeader('INFERENCE-HEADER-CONTENT-LENGTH', head.length);
        response.setHeader('CONTENT-TYPE', 'application/octet-stream');
        const whole = Buffer.concat([Buffer.from(head), floats(means)]);
        for (let at = 0; at < whole.byteLength; at += 7) response.write(whole.subarray(at, at + 7));
        response.end();
      },
    },
  ],
])('reads %s', async (_, manners) => {
  expect(await answerOf(manners)).toEqual(expected);
});

it('believes an error, in the server’s words, and an answer that is not ready', async () => {
  const worker = connectTo(
    await serve({
      answer: (_, response) => {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: 'the picture is upside down' }));
      },
    }),
  );
  await expect(worker.infer(variant, pixels)).rejects.toMatchObject({
    name: 'OipError',
    status: 400,
    message: 'the picture is upside down',
  });
  await expect(worker.infer(variantOf('unknown', 'a'.repeat(64)), pixels)).rejects.toMatchObject({
    name: 'ModelLoadError',
    status: 404,
  });
  expect(worker.stats()).toMatchObject({ state: 'ready', faults: new Map() });
});

it('believes no computing time that cannot be, and reads no error without an end', async () => {
  const worker = connectTo(
    await serve({
      answer: (data, response) =>
        response.end(
          json([{ name: 'means', datatype: 'FP32', shape: [1, 3], data }], {
            parameters: { compute_ms: 1e300 },
          }),
        ),
    }),
  );
  expect((await worker.infer(variant, pixels)).computeMs).toBeLessThan(60_000);
  const talkative = connectTo(
    await serve({
      answer: (_, response) => response.writeHead(400).end(JSON.stringify({ error: 'a'.repeat(100_000) })),
    }),
  );
  const error = await talkative.infer(variant, pixels).catch((reason: Error) => reason);
  expect(error).toMatchObject({ status: 400, message: 'a'.repeat(2_000) });
});
