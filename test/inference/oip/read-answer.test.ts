import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import { writeResponse } from '../../../src/inference/oip/codec.ts';
import { bytesOf, elementsOf } from '../../../src/inference/oip/elements.ts';
import { WorkerFaultError, WorkerLostError } from '../../../src/inference/oip/errors.ts';
import { MAX_ANSWER_BYTES } from '../../../src/inference/oip/limits.ts';

/** Asks a server that answers as told. */
async function ask(answer: RequestListener) {
  const server = createServer((request, response) => {
    request.resume().on('end', () => answer(request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new OipClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  onTestFinished(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const images = { name: 'images', datatype: 'UINT8', shape: [1], data: Uint8Array.of(1) } as const;
  return client.infer('model', [images]);
}

function message(floats: number) {
  const data = bytesOf(Float32Array.from({ length: floats }, (_, index) => index));
  const output = { name: 'mask', datatype: 'FP32', shape: [floats], data } as const;
  const about = { model: 'model', id: null, parameters: {}, outputs: [output], binaryOutput: () => true };
  return writeResponse(about);
}

it.each([
  ['with its length', true],
  ['in chunks of unknown number', false],
])('a large answer %s is in memory that threads share, its numbers in place', async (_, hasLength) => {
  const { headers, chunks } = message(400_000);
  const { 'content-length': length, ...others } = headers;
  const { outputs } = await ask((_request, response) => {
    response.writeHead(200, hasLength ? { ...others, 'content-length': length } : others);
    for (const chunk of chunks) response.write(chunk);
    response.end();
  });
  const { buffer } = outputs[0]!.data;
  expect(buffer).toBeInstanceOf(SharedArrayBuffer);
  const floats = elementsOf('FP32', outputs[0]!.data);
  expect(floats.buffer).toBe(buffer);
  expect([floats.length, floats[1], floats[399_999]]).toEqual([400_000, 1, 399_999]);
});

it('a small one is not', async () => {
  const { outputs } = await ask((_request, response) => {
    const { headers, chunks } = message(100);
    response.writeHead(200, headers).end(Buffer.concat(chunks));
  });
  expect(outputs[0]!.data.buffer).toBeInstanceOf(ArrayBuffer);
});

it('one that says it is larger than any may be is refused before it has come', async () => {
  const answer = ask((_request, response) => {
    response.writeHead(200, { 'content-length': 2 ** 40 }).flushHeaders();
  });
  await expect(answer).rejects.toThrow(
    new WorkerFaultError('too-large', `the worker's answer is larger than ${MAX_ANSWER_BYTES} bytes`),
  );
});

it('one that does not say so is refused when it has got there', async () => {
  const piece = Buffer.alloc(2 ** 20);
  const answer = ask((_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write(piece));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  await expect(answer).rejects.toThrow(WorkerFaultError);
});

it('one that ends before its length is lost', async () => {
  const answer = ask((_request, response) => {
    response.writeHead(200, { 'content-length': 2 ** 21 });
    response.write(Buffer.alloc(2 ** 20), () => response.destroy());
  });
  await expect(answer).rejects.toThrow(WorkerLostError);
});
