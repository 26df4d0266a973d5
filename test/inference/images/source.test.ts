import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSource } from '../../../src/inference/images/source.ts';
import { createSafeFetch } from '../../../src/lib/safe-fetch.ts';

const signal = new AbortController().signal;
const fetch = createSafeFetch({ allow: (address) => address === '127.0.0.1', maxBytes: 1000 });
afterAll(() => fetch.close());
const uploads = {
  read: async (tenantId: string, id: string) =>
    tenantId === 'mine' && id === 'kept' ? Buffer.from('bytes') : null,
};
const options = { tenantId: 'mine', signal, fetch, uploads };
const read = (source: Parameters<typeof readSource>[0]) => readSource(source, options);

describe('base64', () => {
  test.each([0, 1, 2, 3, 4, 57, 1000])('%i bytes come back as they were', async (length) => {
    const bytes = Buffer.from(Array.from({ length: length + 1 }, (_, at) => (at * 37) % 256));
    expect(Buffer.from(await read({ base64: bytes.toString('base64') }))).toEqual(bytes);
  });

  test.each([
    ['an empty string', '', /empty/],
    ['a data: URL', 'data:image/png;base64,iVBORw0KGgo=', /data: URL/],
    ['a line break', 'iVBORw0K\nGgo=', /without line breaks/],
    ['a space', 'iVBO Rw0KGgo', /not valid/],
    ['URL-safe letters', '_9j_4AAQ', /not valid/],
    ['missing padding', 'iVBORw0KGgo', /not valid/],
    ['too much padding', 'iVBORw0KGg===', /not valid/],
    ['padding alone', '====', /not valid/],
    ['padding within', 'iVBO=w0KGgo=', /not valid/],
    ['a letter beyond ASCII', 'iVBÖRw0KGgo=', /not valid/],
    ['a zero', 'iVB\0Rw0KGgo=', /not valid/],
    ['a lone half of a surrogate pair', 'iVB\ud800Rw0KGgo', /not valid/],
  ])('%s is CORRUPT_IMAGE', async (_name, base64, message) => {
    await expect(read({ base64 })).rejects.toMatchObject({
      code: 'CORRUPT_IMAGE',
      message: expect.stringMatching(message),
    });
  });

  test('20 MB are read and a byte more is not', async () => {
    const most = Buffer.alloc(20_000_000).toString('base64');
    expect(await read({ base64: most })).toHaveLength(20_000_000);
    const more = Buffer.alloc(20_000_001).toString('base64');
    await expect(read({ base64: more })).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
  });
});

describe('url', () => {
  const server = createServer((request, response) => {
    if (request.url === '/large') response.end(Buffer.alloc(1001));
    else response.writeHead(request.url === '/missing' ? 404 : 200).end('bytes');
  });
  let base = '';
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  test('its body is the picture', async () => {
    expect(Buffer.from(await read({ url: `${base}/picture` })).toString()).toBe('bytes');
  });

  test('what may not be fetched, what fails and what is too large are told apart', async () => {
    await expect(read({ url: 'http://169.254.169.254/' })).rejects.toMatchObject({ code: 'FORBIDDEN_URL' });
    await expect(read({ url: `${base}/missing` })).rejects.toMatchObject({ code: 'FETCH_FAILED' });
    await expect(read({ url: `${base}/large` })).rejects.toMatchObject({ code: 'IMAGE_TOO_LARGE' });
  });

  test('a client that hung up is no failure of its picture', async () => {
    const gone = AbortSignal.abort(new Error('hung up'));
    await expect(readSource({ url: base }, { ...options, signal: gone })).rejects.toThrow('hung up');
  });
});

describe('uploadId', () => {
  test('its file is the picture', async () => {
    expect(Buffer.from(await read({ uploadId: 'kept' })).toString()).toBe('bytes');
  });

  test('one that is not there is FETCH_FAILED, and one of another tenant in the same words', async () => {
    const faultOf = async (work: Promise<unknown>) => {
      const { code, message } = await work.then(
        () => expect.unreachable(),
        (error) => error,
      );
      return { code, message };
    };
    const unknown = await faultOf(read({ uploadId: 'lost' }));
    expect(unknown).toEqual({
      code: 'FETCH_FAILED',
      message: expect.stringMatching(/never created.*expired/),
    });
    expect(await faultOf(readSource({ uploadId: 'kept' }, { ...options, tenantId: 'theirs' }))).toEqual(
      unknown,
    );
  });

  test('a client that hung up while it was read is no failure of its picture', async () => {
    const gone = AbortSignal.abort(new Error('hung up'));
    await expect(readSource({ uploadId: 'lost' }, { ...options, signal: gone })).rejects.toThrow('hung up');
  });
});
