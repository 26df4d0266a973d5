import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { goodKey, readAnswer, startTransport } from './transport-server.ts';

const query = JSON.stringify({ query: '{ __typename }' });
const encode = (text: string) => new TextEncoder().encode(text);

describe('a body over the limit', () => {
  const over = JSON.stringify({ query: '{ __typename }', variables: { padding: 'x'.repeat(200_000) } });
  const graphqlShaped = {
    status: 413,
    body: {
      errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
      extensions: { requestId: expect.any(String) },
    },
  };

  test('that says its length is refused', async () => {
    const { post } = await startTransport({ maxBodyBytes: 100_000 });
    expect(await post(over)).toMatchObject(graphqlShaped);
  });

  test('that comes in chunks of unknown number is refused', async () => {
    const { url } = await startTransport({ maxBodyBytes: 100_000 });
    const chunks = ReadableStream.from(over.match(/.{1,10000}/g)!.map(encode));
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: goodKey },
      body: chunks,
      duplex: 'half',
    });
    expect(await readAnswer(response)).toMatchObject(graphqlShaped);
  });

  test('that never ends is cut off', async () => {
    const { port } = await startTransport({ maxBodyBytes: 100_000 });
    const socket = connect(port, '127.0.0.1');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // Cutting off a client that writes is what the test waits for: it shows as an error of the socket first.
    socket.on('error', () => {});
    socket.write(
      'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n',
    );
    const writing = setInterval(() => socket.write('x'.repeat(50_000)), 5);
    await closed;
    clearInterval(writing);
  });

  test('the connection serves the next request', async () => {
    const { post } = await startTransport({ maxBodyBytes: 100_000 });
    await post(over);
    expect(await post(query)).toMatchObject({ status: 200, body: { data: { __typename: 'Query' } } });
  });
});

test('a body at the limit is read', async () => {
  const { post } = await startTransport({ maxBodyBytes: 1000 });
  expect((await post(query.padEnd(1000))).status).toBe(200);
  expect((await post(query.padEnd(1001))).status).toBe(413);
});

describe('a caller without a credential', () => {
  const unauthenticated = {
    status: 401,
    body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
  };

  test('may send enough to sign in, and no more', async () => {
    const { url } = await startTransport();
    const send = (body: string) =>
      fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect((await send(query.padEnd(64_000))).status).toBe(200);
    expect(await readAnswer(await send(query.padEnd(64_001)))).toMatchObject(unauthenticated);
  });

  test('is refused before the body is read where its length is said, and in the middle where it is not', async () => {
    const { port } = await startTransport();
    for (const [header, body] of [
      ['content-length: 64001', ''],
      ['transfer-encoding: chunked', `fa01\r\n${' '.repeat(64_001)}`],
    ]) {
      const socket = connect(port, '127.0.0.1');
      const answer = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(String(bytes))));
      socket.write(
        `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${header}\r\n\r\n${body}`,
      );
      expect(await answer).toContain('401 Unauthorized');
      socket.destroy();
    }
  });
});

test('JSON of more values than any request needs is refused unparsed', async () => {
  const { post } = await startTransport();
  const body = `{"query":"{ __typename }","variables":{"x":[${'{},'.repeat(200_000)}{}]}}`;
  const answer = await post(body);
  expect(answer.status).toBe(400);
  expect(answer.body.errors).toEqual([
    { message: expect.stringContaining('100000 values'), extensions: { code: 'BAD_USER_INPUT' } },
  ]);
});

describe('a body that is no JSON', () => {
  test.each(['', '{', '{"query": "{ __typename }"', 'query=x', '\u0000'])('%j is refused', async (body) => {
    const { post } = await startTransport();
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test.each(['null', '7', '"text"', '[]', '{}', '[{"query":"{ __typename }"},{"query":"{ __typename }"}]'])(
    '%s is JSON and no request',
    async (body) => {
      const { post } = await startTransport();
      const answer = await post(body);
      expect(answer.status).toBe(400);
      expect(answer.body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    },
  );
});

describe('another content type', () => {
  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    '',
  ])('%j is refused: a page of another origin can send the first three unasked', async (type) => {
    const { post } = await startTransport();
    const answer = await post(encode(query), { 'content-type': type });
    expect(answer.status).toBe(400);
    expect(answer.body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON;charset="UTF-8"',
    'application/json; foo=bar',
  ])('%s is read', async (type) => {
    const { post } = await startTransport();
    expect((await post(encode(query), { 'content-type': type })).status).toBe(200);
  });

  test('another charset and another encoding are refused', async () => {
    const { post } = await startTransport();
    expect((await post(query, { 'content-type': 'application/json; charset=utf-16' })).status).toBe(415);
    expect((await post(query, { 'content-encoding': 'gzip' })).status).toBe(415);
  });
});

test('a client that hangs up in the middle of its body leaves nothing behind', async () => {
  const { port, post, log } = await startTransport();
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"query',
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  socket.destroy();
  await expect.poll(() => log()).toEqual([expect.objectContaining({ status: 'aborted', msg: 'graphql' })]);
  expect((await post(query)).status).toBe(200);
});

test('a caller whose credential is bad is answered before its body is read', async () => {
  const { port } = await startTransport();
  const socket = connect(port, '127.0.0.1');
  const answer = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(String(bytes))));
  socket.write(
    'POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer bad\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n',
  );
  expect(await answer).toContain('401 Unauthorized');
  socket.destroy();
});

test('text beyond ASCII survives chunks that split its characters', async () => {
  const { url } = await startTransport();
  const bytes = encode(JSON.stringify({ query: '{ __typename } # Füße 🦶', variables: {} }));
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: goodKey },
    body: ReadableStream.from([...bytes].map((byte) => Uint8Array.of(byte))),
    duplex: 'half',
  });
  expect(response.status).toBe(200);
});
