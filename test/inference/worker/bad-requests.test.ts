import { connect } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { AttentiveClock } from '../../../src/inference/worker/attentive-clock.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { http, json, startWorker } from './in-process-worker.ts';

const infer = '/v2/models/mean/infer';
const image = { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3] };
const data = Array(12).fill(4);
const good = JSON.stringify({ inputs: [{ ...image, data }] });
const lengthField = 'inference-header-content-length';

async function startWithModel(overrides: Parameters<typeof startWorker>[1] = {}) {
  const started = await startWorker({}, overrides);
  await started.client.load('mean', { sha256: started.artifacts.put(meanModel(2, 1)) });
  const { hostname, port } = new URL(started.worker.address);
  const answersStill = async () =>
    expect(json(await http(started.worker.address, 'POST', infer, good))).toMatchObject({
      status: 200,
      body: { outputs: [{ data: [4, 4, 4] }] },
    });
  /** Writes `pieces` as they are, and answers all that comes until the worker ends the connection. */
  const raw = (...pieces: (string | Buffer)[]) =>
    new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(Number(port), hostname, () => {
        for (const piece of pieces) socket.write(piece);
      });
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.once('error', () => undefined);
      socket.once('close', () => resolve(text));
    });
  return { ...started, base: started.worker.address, answersStill, raw };
}

type Case = [
  what: string,
  status: number,
  message: RegExp,
  body: string | Buffer,
  headers?: Record<string, string>,
];

/** A request with one input, otherwise whole. */
const withInput = (input: object, more: object = {}) =>
  JSON.stringify({ inputs: [{ ...image, data, ...input }], ...more });
const binary = (header: object, bytes: Uint8Array): [Buffer, Record<string, string>] => {
  const text = Buffer.from(JSON.stringify(header));
  return [Buffer.concat([text, bytes]), { [lengthField]: String(text.length) }];
};
const many = (count: number) => Array.from({ length: count }, (_, index) => ({ name: `i${index}` }));

const cases: Case[] = [
  ['an empty body', 400, /the body is empty: expected a JSON header/, ''],
  ['no JSON', 400, /cannot be parsed/, 'images=4'],
  ['half of it', 400, /cannot be parsed/, good.slice(0, 40)],
  ['a list', 400, /must be an object/, `[${good}]`],
  ['no inputs', 400, /inputs: expected an array of at least one tensor/, '{}'],
  ['an id that is no string', 400, /id: expected a string/, withInput({}, { id: 7 })],
  ['parameters that are no object', 400, /parameters: expected an object/, withInput({}, { parameters: [] })],
  [
    "an input's parameters that are no object",
    400,
    /'images': expected parameters/,
    withInput({ parameters: 1 }),
  ],
  [
    'a flag that is none',
    400,
    /expected binary_data_output to be true or false, found "yes"/,
    withInput({}, { parameters: { binary_data_output: 'yes' } }),
  ],
  [
    "an output's flag that is none",
    400,
    /'means': expected binary_data to be true or false, found 1/,
    withInput({}, { outputs: [{ name: 'means', parameters: { binary_data: 1 } }] }),
  ],
  [
    'an output that the model has not',
    400,
    /'boxes': the model has no such output, expected 'means'/,
    withInput({}, { outputs: [{ name: 'boxes' }] }),
  ],
  [
    'classification',
    400,
    /'means': classification is of an extension that is not spoken/,
    withInput({}, { outputs: [{ name: 'means', parameters: { classification: 3 } }] }),
  ],
  [
    'an input in shared memory',
    400,
    /'images': shared memory/,
    JSON.stringify({
      inputs: [{ ...image, parameters: { shared_memory_region: 'r', shared_memory_byte_size: 12 } }],
    }),
  ],
  [
    'an output in shared memory',
    400,
    /'means': shared_memory_region/,
    withInput({}, { outputs: [{ name: 'means', parameters: { shared_memory_region: 'r' } }] }),
  ],
  ['strings', 400, /datatype .* found "BYTES"/, withInput({ datatype: 'BYTES' })],
  ['a type that no engine takes', 400, /datatype .* found "BF16"/, withInput({ datatype: 'BF16' })],
  ['half floats in JSON', 400, /FP16 has no JSON form/, withInput({ datatype: 'FP16' })],
  [
    'half floats',
    400,
    /expected UINT8 \[-1,2,2,3\], found FP16/,
    ...binary(
      { inputs: [{ ...image, datatype: 'FP16', parameters: { binary_data_size: 24 } }] },
      new Uint8Array(24),
    ),
  ],
  ['another input', 400, /'pictures': the model has no such input/, withInput({ name: 'pictures' })],
  ['another rank', 400, /expected UINT8 \[-1,2,2,3\], found UINT8 \[12\]/, withInput({ shape: [12] })],
  ['a dimension below zero', 400, /expected shape/, withInput({ shape: [-1, 2, 2, 3] })],
  [
    'more elements than numbers can count',
    400,
    /expected shape/,
    withInput({ shape: [2 ** 30, 2 ** 30, 2, 3] }),
  ],
  ['far too many dimensions', 400, /expected shape/, withInput({ shape: Array(1_000).fill(1) })],
  [
    'a batch without its data',
    400,
    /expected 1200 elements .* found 12/,
    withInput({ shape: [100, 2, 2, 3] }),
  ],
  [
    'numbers beyond the type',
    400,
    /0\.\.255 at element 11, found 256/,
    withInput({ data: [...data.slice(1), 256] }),
  ],
  [
    'data nested beyond all measure',
    400,
    /found what is nested too deeply|expected 12 elements/,
    `{"inputs":[{"name":"images","datatype":"UINT8","shape":[1],"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}]}`,
  ],
  [
    'more inputs than any model has',
    400,
    /inputs: expected at most 1024 tensors, found 1025/,
    JSON.stringify({ inputs: many(1_025) }),
  ],
  [
    'more outputs than any model has',
    400,
    /outputs: expected at most 1024, found 1025/,
    withInput({}, { outputs: many(1_025) }),
  ],
  [
    'JSON that would take a multiple of its size',
    400,
    /JSON header has \d+ bytes, at most 16777216 .* binary data/,
    Buffer.alloc(17 * 2 ** 20, ' '),
  ],
  ['more than a request may be', 413, /larger than 67108864 bytes/, Buffer.alloc(65 * 2 ** 20, ' ')],
  [
    'fewer bytes than are declared',
    400,
    /expected 12 bytes of binary data, found 11/,
    ...binary({ inputs: [{ ...image, parameters: { binary_data_size: 12 } }] }, new Uint8Array(11)),
  ],
  [
    'more bytes than are declared',
    400,
    /expected 12 bytes of binary data .* found 13/,
    ...binary({ inputs: [{ ...image, parameters: { binary_data_size: 12 } }] }, new Uint8Array(13)),
  ],
  [
    'a size that is not that of the shape',
    400,
    /expected binary_data_size 12 .* found 13/,
    ...binary({ inputs: [{ ...image, parameters: { binary_data_size: 13 } }] }, new Uint8Array(13)),
  ],
  [
    'a header longer than the body',
    400,
    /inference-header-content-length: expected 0\.\.\d+/,
    good,
    { [lengthField]: '99999' },
  ],
  ['a header length that is none', 400, /inference-header-content-length/, good, { [lengthField]: '-1' }],
  [
    'a form',
    415,
    /content-type: expected application\/json/,
    good,
    { 'content-type': 'multipart/form-data; boundary=x' },
  ],
  ['text', 415, /found 'text\/plain'/, good, { 'content-type': 'text/plain' }],
  [
    'an encoding that is not known',
    415,
    /content-encoding: expected gzip, deflate or none, found 'br'/,
    good,
    { 'content-encoding': 'br' },
  ],
  [
    'an encoding that every object has',
    415,
    /found 'constructor'/,
    good,
    { 'content-encoding': 'constructor' },
  ],
  ['what is not packed as it says', 400, /the body is not gzip/, good, { 'content-encoding': 'gzip' }],
  [
    'half of a packed body',
    400,
    /the body is not gzip/,
    gzipSync(good).subarray(0, 40),
    { 'content-encoding': 'gzip' },
  ],
  [
    'a small body that is far too large unpacked',
    413,
    /larger than 67108864 bytes unpacked/,
    gzipSync(Buffer.alloc(80 * 2 ** 20)),
    { 'content-encoding': 'gzip' },
  ],
];

it.each(cases)('refuses %s', async (_, status, message, body, headers = {}) => {
  const { base, answersStill } = await startWithModel();
  const answer = json(await http(base, 'POST', infer, body, headers));
  expect(answer).toEqual({ status, body: { error: expect.stringMatching(message) } });
  await answersStill();
});

it.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
])('unpacks %s', async (encoding, pack) => {
  const { base } = await startWithModel();
  const headers = { 'content-encoding': encoding, 'content-type': 'application/json' };
  expect((await http(base, 'POST', infer, pack(good), headers)).status).toBe(200);
});

it('says which methods a resource has, and answers HEAD as GET without its body', async () => {
  const { base, answersStill } = await startWithModel();
  const allowed: [string, string, string][] = [
    ['POST', '/v2', 'GET, HEAD'],
    ['DELETE', '/v2/models/mean', 'GET, HEAD'],
    ['GET', infer, 'POST'],
    ['PATCH', '/v2/repository/index', 'POST'],
    ['GET', `/v2/repository/artifacts/${'a'.repeat(64)}`, 'HEAD, PUT'],
  ];
  for (const [method, path, allow] of allowed) {
    const answer = await http(base, method, path);
    expect([path, answer.status, answer.headers.allow]).toEqual([path, 405, allow]);
  }
  for (const path of ['/v2', '/v2/health/live', '/v2/models/mean/ready', '/metrics']) {
    const head = await http(base, 'HEAD', path);
    expect([path, head.status, head.body.length]).toEqual([path, 200, 0]);
    expect(head.headers['content-length']).not.toBe('0');
  }
  await answersStill();
});

it('goes on with a connection after an error, as far as the body could be read', async () => {
  const { raw } = await startWithModel();
  const post = (path: string, body: string, more = '') =>
    `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n${more}\r\n${body}`;
  const text = await raw(
    post('/v2/models/none/infer', ' '.repeat(100_000)),
    post(infer, '{'),
    post(infer, good, 'connection: close\r\n'),
  );
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 400', 'HTTP/1.1 200']);
});

it('answers what is no HTTP in the form of its errors', async () => {
  const { raw, answersStill } = await startWithModel();
  const garbage = await raw('\x16\x03\x01 no HTTP\r\n\r\n');
  expect(garbage).toMatch(/^HTTP\/1\.1 400 /);
  expect(JSON.parse(garbage.split('\r\n\r\n')[1]!)).toEqual({
    error: expect.stringMatching(/^no HTTP request: /),
  });
  const large = await raw(`GET /v2 HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(large).toMatch(/^HTTP\/1\.1 431 /);
  expect(JSON.parse(large.split('\r\n\r\n')[1]!)).toEqual({ error: expect.stringContaining('16 KiB') });
  await answersStill();
});

/** A clock on which five minutes pass in a second or so. */
function hastyClock(): AttentiveClock {
  return new AttentiveClock(5, 2_000);
}

it('does not wait for ever for a body that stops coming', async () => {
  const { raw, answersStill } = await startWithModel({ clock: hastyClock() });
  const text = await raw(`POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n`, '{"inp');
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(text).toContain('the body stopped coming after 5 of 1000 bytes');
  await answersStill();
});

it('does not wait for ever for a head that stops coming, nor for one that never begins', async () => {
  const { raw, answersStill } = await startWithModel({ clock: hastyClock() });
  expect(await raw('GET /v2 HTTP/1.1\r\nhost: ')).toBe('');
  expect(await raw()).toBe('');
  await answersStill();
});
