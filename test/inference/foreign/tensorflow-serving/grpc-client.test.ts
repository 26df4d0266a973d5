import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import tls from 'node:tls';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import { Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js';
import { expect, it, onTestFinished } from 'vitest';
import {
  GetModelMetadataResponseSchema,
  GetModelStatusResponseSchema,
  ModelVersionStatus_State,
  type PredictRequest,
  PredictRequestSchema,
  PredictResponseSchema,
  SignatureDefMapSchema,
} from '../../../../src/inference/foreign/tensorflow-serving/generated/serving_pb.ts';
import { DataType } from '../../../../src/inference/foreign/tensorflow-serving/generated/tensorflow_pb.ts';
import { GrpcServingClient } from '../../../../src/inference/foreign/tensorflow-serving/grpc-client.ts';
import { bytesOf, elementsOf } from '../../../../src/inference/oip/elements.ts';
import { WorkerLostError } from '../../../../src/inference/oip/errors.ts';
import type { Tensor } from '../../../../src/inference/tensor.ts';
import { tensorThreads } from '../../../support/remote-worker.ts';

const never = new AbortController().signal;
const model = { name: 'net', version: 3 };

type Handler = (request: Buffer, answer: sendUnaryData<Buffer>) => void;

/** A gRPC server whose messages are bytes, by the paths of its calls. */
async function serve(handlers: Record<string, Handler>): Promise<GrpcServingClient> {
  return clientOf(await listen(handlers, ServerCredentials.createInsecure()));
}

async function listen(handlers: Record<string, Handler>, credentials: ServerCredentials): Promise<number> {
  const server = new Server({ 'grpc.max_receive_message_length': -1 });
  const same = (bytes: Buffer) => bytes;
  for (const [name, handler] of Object.entries(handlers)) {
    const [service, method] = name.split('/') as [string, string];
    const path = `/tensorflow.serving.${service}/${method}`;
    server.addService(
      {
        [method]: {
          ...{ path, requestStream: false, responseStream: false },
          ...{
            requestSerialize: same,
            requestDeserialize: same,
            responseSerialize: same,
            responseDeserialize: same,
          },
        },
      },
      {
        [method]: ({ request }: { request: Buffer }, answer: sendUnaryData<Buffer>) =>
          handler(request, answer),
      },
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  onTestFinished(() => server.forceShutdown());
  return port;
}

function clientOf(port: number): GrpcServingClient {
  const client = new GrpcServingClient({ baseUrl: `http://127.0.0.1:${port}` }, tensorThreads());
  onTestFinished(() => client.close());
  return client;
}

const fails =
  (code: status, details: string): Handler =>
  (_, answer) =>
    answer({ code, details });
const floats = (name: string, shape: number[], values: Float32Array): Tensor => ({
  ...{ name, datatype: 'FP32', shape, data: bytesOf(values) },
});
const question = {
  signature: 'serving_default',
  input: floats('x', [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6.5)),
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
};

it('asks for a prediction in the protocol of others, and reads tensors in each form that they have', async () => {
  const asked: PredictRequest[] = [];
  const large = Float32Array.from({ length: 300_000 }, (_, at) => at / 7);
  const client = await serve({
    'PredictionService/Predict': (request, answer) => {
      asked.push(fromBinary(PredictRequestSchema, new Uint8Array(request)));
      const shape = (...lengths: number[]) => ({ dim: lengths.map((size) => ({ size: BigInt(size) })) });
      const outputs = {
        content: {
          dtype: DataType.DT_FLOAT,
          tensorShape: shape(2),
          tensorContent: bytesOf(Float32Array.of(0.5, -1)),
        },
        listed: { dtype: DataType.DT_FLOAT, tensorShape: shape(1, 3), floatVal: [1.5, 2.5, 3.5] },
        repeated: { dtype: DataType.DT_INT32, tensorShape: shape(4), intVal: [7, 8] },
        long: { dtype: DataType.DT_INT64, tensorShape: shape(2), int64Val: [-5n, 2n ** 40n] },
        half: { dtype: DataType.DT_HALF, tensorShape: shape(1), halfVal: [0x3c00] },
        yes: { dtype: DataType.DT_BOOL, tensorShape: shape(2), boolVal: [true, false] },
        zeros: { dtype: DataType.DT_UINT8, tensorShape: shape(2) },
        scalar: { dtype: DataType.DT_DOUBLE, doubleVal: [0.1] },
        large: { dtype: DataType.DT_FLOAT, tensorShape: shape(large.length), floatVal: [...large] },
      };
      answer(null, Buffer.from(toBinary(PredictResponseSchema, create(PredictResponseSchema, { outputs }))));
    },
  });
  const names = ['content', 'listed', 'repeated', 'long', 'half', 'yes', 'zeros', 'scalar', 'large'];
  const wanted = names.map((name) => ({ name, datatype: 'FP32', shape: null }));
  const tensors = await client.predict(model, { ...question, outputs: wanted }, never);
  expect(asked).toEqual([
    create(PredictRequestSchema, {
      modelSpec: { name: 'net', version: 3n, signatureName: 'serving_default' },
      inputs: {
        x: {
          dtype: DataType.DT_FLOAT,
          tensorShape: { dim: [{ size: 2n }, { size: 3n }] },
          tensorContent: question.input.data,
        },
      },
      outputFilter: names,
    }),
  ]);
  const read = new Map(
    tensors.map(({ name, datatype, shape, data }) => [
      name,
      { datatype, shape, values: [...elementsOf(datatype, data)] },
    ]),
  );
  expect(read.get('large')).toEqual({ datatype: 'FP32', shape: [300_000], values: [...large] });
  read.delete('large');
  expect(Object.fromEntries(read)).toEqual({
    content: { datatype: 'FP32', shape: [2], values: [0.5, -1] },
    listed: { datatype: 'FP32', shape: [1, 3], values: [1.5, 2.5, 3.5] },
    repeated: { datatype: 'INT32', shape: [4], values: [7, 8, 8, 8] },
    long: { datatype: 'INT64', shape: [2], values: [-5n, 2n ** 40n] },
    half: { datatype: 'FP16', shape: [1], values: [0x3c00] },
    yes: { datatype: 'BOOL', shape: [2], values: [1, 0] },
    zeros: { datatype: 'UINT8', shape: [2], values: [0, 0] },
    scalar: { datatype: 'FP64', shape: [], values: [0.1] },
  });
});

it('reads what a model is, and whether it can be asked', async () => {
  const { AVAILABLE, LOADING } = ModelVersionStatus_State;
  let state: ModelVersionStatus_State = LOADING;
  const client = await serve({
    'ModelService/GetModelStatus': (_, answer) => {
      const message = create(GetModelStatusResponseSchema, { modelVersionStatus: [{ version: 3n, state }] });
      answer(null, Buffer.from(toBinary(GetModelStatusResponseSchema, message)));
    },
    'PredictionService/GetModelMetadata': (_, answer) => {
      const free = { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: -1n }, { size: 4n }] } };
      const map = create(SignatureDefMapSchema, {
        signatureDef: {
          serving_default: {
            inputs: { x: free, text: { dtype: DataType.DT_STRING, tensorShape: { unknownRank: true } } },
            outputs: { y: { dtype: 99 as DataType } },
          },
        },
      });
      const metadata = { signature_def: anyPack(SignatureDefMapSchema, map) };
      const message = create(GetModelMetadataResponseSchema, { metadata });
      answer(null, Buffer.from(toBinary(GetModelMetadataResponseSchema, message)));
    },
  });
  expect(await client.isAvailable(model, never)).toBe(false);
  state = AVAILABLE;
  expect(await client.isAvailable(model, never)).toBe(true);
  const signatures = await client.signatures(model, never);
  expect(Object.fromEntries(signatures)).toEqual({
    serving_default: {
      inputs: expect.arrayContaining([
        { name: 'x', datatype: 'FP32', shape: [-1, 4] },
        { name: 'text', datatype: 'DT_STRING', shape: null },
      ]),
      outputs: [{ name: 'y', datatype: 'type 99', shape: null }],
    },
  });
});

it.each<[status, object]>([
  [status.NOT_FOUND, { name: 'OipError', status: 404, message: 'because' }],
  [status.INVALID_ARGUMENT, { name: 'OipError', status: 400, message: 'because' }],
  [status.INTERNAL, { name: 'OipError', status: 502, message: 'because' }],
  [status.UNAUTHENTICATED, { name: 'WorkerFaultError', reason: 'unauthorized', message: /because/ }],
  [status.PERMISSION_DENIED, { name: 'WorkerFaultError', reason: 'unauthorized', message: /because/ }],
  [status.RESOURCE_EXHAUSTED, { name: 'WorkerLostError', message: /because/ }],
  [status.UNAVAILABLE, { name: 'WorkerLostError', message: expect.stringContaining('because') }],
  [status.DEADLINE_EXCEEDED, { name: 'WorkerLostError' }],
])('tells status %i by what can be done about it', async (code, error) => {
  const client = await serve({ 'PredictionService/Predict': fails(code, 'because') });
  await expect(client.predict(model, question, never)).rejects.toMatchObject(error);
});

it('is ready when its server knows that there is no such model, and not when it is no such server', async () => {
  const ready = await serve({
    'ModelService/GetModelStatus': fails(status.NOT_FOUND, 'Could not find any versions'),
  });
  await expect(ready.requireReady(never)).resolves.toBeUndefined();
  const other = await serve({ 'PredictionService/Predict': fails(status.NOT_FOUND, '') });
  await expect(other.requireReady(never)).rejects.toMatchObject({ name: 'OipError', status: 501 });
});

it('refuses what cannot be read, and takes no more memory than an answer may', async () => {
  const dim = [{ size: 2n ** 40n }];
  const huge = create(PredictResponseSchema, {
    outputs: { y: { dtype: DataType.DT_FLOAT, tensorShape: { dim } } },
  });
  const text = create(PredictResponseSchema, { outputs: { y: { dtype: DataType.DT_STRING } } });
  const short = create(PredictResponseSchema, {
    outputs: {
      y: { dtype: DataType.DT_FLOAT, tensorShape: { dim: [{ size: 2n }] }, tensorContent: new Uint8Array(7) },
    },
  });
  const answers: [Buffer, RegExp][] = [
    [Buffer.from('no message at all'), /cannot be read/],
    [Buffer.concat([Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(400_000)]), /cannot be read/],
    [Buffer.from(toBinary(PredictResponseSchema, huge)), /'y' of 4398046511104 bytes, which is more than/],
    [Buffer.from(toBinary(PredictResponseSchema, text)), /'y' as DT_STRING, no type of numbers/],
    [Buffer.from(toBinary(PredictResponseSchema, short)), /'y' of FP32 \[2\] in 7 bytes, not in 8/],
    [Buffer.alloc(66 * 2 ** 20), /larger than max/],
  ];
  for (const [bytes, message] of answers) {
    const client = await serve({ 'PredictionService/Predict': (_, answer) => answer(null, bytes) });
    await expect(client.predict(model, question, never)).rejects.toMatchObject({ status: 502, message });
  }
});

it('reads of an answer what is wanted alone, and no more of it than an answer may have', async () => {
  const dim = [{ size: 40n * 2n ** 20n }];
  const huge = { dtype: DataType.DT_UINT8, tensorShape: { dim } };
  const outputs = { y: { dtype: DataType.DT_UINT8, tensorShape: { dim: [{ size: 2n }] } }, a: huge, b: huge };
  const message = toBinary(PredictResponseSchema, create(PredictResponseSchema, { outputs }));
  const client = await serve({
    'PredictionService/Predict': (_, answer) => answer(null, Buffer.from(message)),
  });
  const ask = (...names: string[]) => {
    const wanted = names.map((name) => ({ name, datatype: 'UINT8', shape: null }));
    return client.predict(model, { ...question, outputs: wanted }, never);
  };
  expect(await ask('y')).toEqual([{ name: 'y', datatype: 'UINT8', shape: [2], data: Buffer.from([0, 0]) }]);
  await expect(ask('a', 'b')).rejects.toMatchObject({
    ...{ name: 'WorkerFaultError', reason: 'too-large' },
    message: /'a', 'b' of 83886080 bytes, which is more than/,
  });
  await expect(ask('c')).rejects.toMatchObject({
    ...{ name: 'WorkerFaultError', reason: 'protocol' },
    message: /asked for 'c', and answered 'y', 'a', 'b'/,
  });
});

it('reads what is large in a thread, however few bytes say so', async () => {
  const threads = tensorThreads();
  const isReadHere = async (size: bigint) => {
    const outputs = { y: { dtype: DataType.DT_UINT8, tensorShape: { dim: [{ size }] }, intVal: [7] } };
    const message = toBinary(PredictResponseSchema, create(PredictResponseSchema, { outputs }));
    let turns = 0;
    setImmediate(() => {
      turns += 1;
    });
    const [tensor] = await threads.readPrediction(Buffer.from(message), question.outputs, never);
    expect([tensor!.data.byteLength, tensor!.data.at(-1)]).toEqual([Number(size), 7]);
    return turns === 0;
  };
  expect(await isReadHere(1_000n)).toBe(true);
  expect(await isReadHere(1_000_000n)).toBe(false);
});

it('blames the server for descriptions that are too large or cannot be read', async () => {
  const answers: [Buffer, object][] = [
    [Buffer.alloc(2 ** 20 + 1), { reason: 'too-large', message: /GetModelMetadata is larger than 1048576/ }],
    [Buffer.from('no message at all'), { reason: 'protocol', message: /cannot be read/ }],
    [Buffer.alloc(0), { reason: 'protocol', message: /'signature_def' and answered none/ }],
    [metadataOf(Buffer.from('no message at all')), { reason: 'protocol', message: /cannot be read/ }],
  ];
  for (const [bytes, fault] of answers) {
    const client = await serve({
      'PredictionService/GetModelMetadata': (_, answer) => answer(null, bytes),
    });
    await expect(client.signatures(model, never)).rejects.toMatchObject({
      ...{ name: 'WorkerFaultError', ...fault },
    });
  }
});

function metadataOf(value: Uint8Array): Buffer {
  const packed = create(AnySchema, {
    typeUrl: `type.googleapis.com/${SignatureDefMapSchema.typeName}`,
    value,
  });
  const message = create(GetModelMetadataResponseSchema, { metadata: { signature_def: packed } });
  return Buffer.from(toBinary(GetModelMetadataResponseSchema, message));
}

it('ends the calls in flight when it is closed, and takes none after', async () => {
  const client = await serve({ 'PredictionService/Predict': () => void client.close() });
  const closed = { name: 'WorkerLostError', message: /were closed/ };
  await expect(client.predict(model, question, never)).rejects.toMatchObject(closed);
  await expect(client.requireReady(never)).rejects.toMatchObject(closed);
});

it('loses what goes away, answers something else, or was never there', async () => {
  const web = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const { port } = web.address() as { port: number };
  onTestFinished(() => void web.close());
  const reasons = new Set<string>();
  for (let times = 0; times < 3; times += 1) {
    const error = await clientOf(port)
      .requireReady(never)
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(WorkerLostError);
    reasons.add((error as Error).message);
  }
  for (const reason of reasons)
    expect(reason).toMatch(/^the server did not answer: .*Last error: (Protocol error|null)$/);
  await expect(clientOf(1).requireReady(never)).rejects.toThrow(/ECONNREFUSED 127\.0\.0\.1:1$/);
});

it('speaks TLS to the address that it is given, and wants the certificate of the name', async () => {
  const read = (name: string) => readFileSync(resolve(import.meta.dirname, '../../../support/tls', name));
  const [certificate, key] = [read('worker-cert.pem'), read('worker-key.pem')];
  tls.setDefaultCACertificates([certificate.toString()]);
  const secure = ServerCredentials.createSsl(null, [{ cert_chain: certificate, private_key: key }]);
  const port = await listen({ 'ModelService/GetModelStatus': fails(status.NOT_FOUND, 'none') }, secure);
  const ask = (baseUrl: string) => {
    const client = new GrpcServingClient({ baseUrl, address: '127.0.0.1' }, tensorThreads());
    onTestFinished(() => client.close());
    return client.requireReady(never);
  };
  await expect(ask(`https://localhost:${port}`)).resolves.toBeUndefined();
  await expect(ask(`https://elsewhere.test:${port}`)).rejects.toThrow(/elsewhere\.test/);
  await expect(ask(`https://[::1]:${port}`)).rejects.toThrow(/(IP|Host): ::1\W*is not/);
  await expect(ask(`http://localhost:${port}`)).rejects.toBeInstanceOf(WorkerLostError);
});

it('ends with the signal, and tells its server', async () => {
  const controller = new AbortController();
  const client = await serve({ 'PredictionService/Predict': () => controller.abort(new Error('given up')) });
  await expect(client.predict(model, question, controller.signal)).rejects.toThrow('given up');
  await expect(client.predict(model, question, controller.signal)).rejects.toThrow('given up');
});
