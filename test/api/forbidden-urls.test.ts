import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSafeFetch } from '../../src/lib/safe-fetch.ts';
import { expectBooked } from '../support/booked.ts';
import type { ClassifyData, GraphqlAnswer } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

/** Stands for the public internet where a test lets it; every other address keeps its real meaning. */
const outside = '127.0.0.1';
let outsideIsPublic = false;
const names: Record<string, string[]> = {
  'pictures.test': [outside],
  'inside.test': ['127.0.0.2'],
  'mixed.test': [outside, '127.0.0.2'],
  'private.test': ['10.1.2.3'],
  'metadata.test': ['169.254.169.254'],
  'mapped.test': ['::ffff:127.0.0.2'],
};

const good = examplePicture('red-circle');
const picture = Buffer.from(good, 'base64');
let server: TestServer;
let internal: Listener;
let publicHost: Listener;

beforeAll(async () => {
  internal = await listen(undefined, (_request, response) => response.end(picture));
  publicHost = await listen(outside, (request, response) => {
    const to = new URL(request.url ?? '/', 'http://pictures.test').searchParams.get('to');
    if (to) response.writeHead(302, { location: to }).end();
    else if (request.url === '/large') response.end(Buffer.alloc(20_000_001));
    else if (request.url === '/text') response.end('no picture');
    else if (request.url === '/picture') response.end(picture);
    else response.writeHead(404).end('nothing here');
  });
  const fetch = createSafeFetch({
    allow: (address) => outsideIsPublic && address === outside,
    lookup: async (name) =>
      (names[name] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  });
  server = await startServer({}, { fetch });
});
afterAll(async () => {
  await server.close();
  await Promise.all([internal.close(), publicHost.close()]);
});

interface Listener {
  readonly port: number;
  connections(): number;
  close(): Promise<void>;
}

/** Without an address: on all of this machine's. */
async function listen(address: string | undefined, listener: RequestListener): Promise<Listener> {
  const http = createServer(listener).listen(0, address);
  let connections = 0;
  http.on('connection', () => {
    connections += 1;
  });
  await once(http, 'listening');
  return {
    port: (http.address() as AddressInfo).port,
    connections: () => connections,
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function codes({ data, errors }: GraphqlAnswer<ClassifyData>): (string | undefined)[] {
  expect(errors).toEqual([]);
  return data!.classify.results.map((result) => ('code' in result ? result.code : result.labels[0]?.label));
}

/** Sends every URL, and a good picture behind them: each is FORBIDDEN_URL, unbilled, and nobody was connected to. */
async function expectForbidden(urls: readonly string[]): Promise<void> {
  const { client } = await server.createTenant();
  const images = [...urls.map((url) => ({ url })), { base64: good }];
  const answer = await client.classify({ images, topK: 1 });
  expect(codes(answer)).toEqual([...urls.map(() => 'FORBIDDEN_URL'), 'red circle']);
  expect(internal.connections()).toBe(0);
  await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: urls.length });
}

describe('a URL that leads inside is FORBIDDEN_URL, and never connected to', () => {
  it('whatever the notation of a loopback address', () =>
    expectForbidden(
      [
        '127.0.0.1',
        '127.1',
        '127.255.255.254',
        '2130706433',
        '0x7f000001',
        '0x7f.1',
        '0177.0.0.1',
        '017700000001',
        '127.0.0.1.',
        '0',
        '0.0.0.0',
        '①②⑦.0.0.1',
        '127%2e0.0.1',
        'localhost',
        'LOCALHOST.',
        'anything.localhost',
        '[::1]',
        '[::]',
        '[::ffff:127.0.0.1]',
        '[::ffff:7f00:1]',
        '[::127.0.0.1]',
        '[64:ff9b::7f00:1]',
        '[2002:7f00:1::]',
      ].map((host) => `http://${host}:${internal.port}/`),
    ));

  it('private, link-local, metadata and other reserved addresses', () =>
    expectForbidden(
      [
        '10.0.0.1',
        '172.16.0.1',
        '192.168.1.1',
        '169.254.169.254',
        '2852039166',
        '0xa9fea9fe',
        '100.100.100.200',
        '168.63.129.16',
        '[fd00:ec2::254]',
        '[fe80::1]',
        '[fc00::1]',
        '[::ffff:a9fe:a9fe]',
        '224.0.0.1',
        '255.255.255.255',
      ].map((host) => `http://${host}/latest/meta-data/`),
    ));

  it('other schemes, and credentials in the URL', () =>
    expectForbidden([
      `https://127.0.0.1:${internal.port}/`,
      'file:///etc/passwd',
      'ftp://pictures.test/a.png',
      `data:image/jpeg;base64,${good.slice(0, 40)}`,
      'gopher://127.0.0.1/',
      'blob:http://127.0.0.1/1',
      'javascript:alert(1)',
      `http://user:password@pictures.test:${publicHost.port}/picture`,
    ]));

  it('and the refusal tells neither the address nor whether anything answers there', async () => {
    const { client } = await server.createTenant();
    const urls = [`http://127.0.0.1:${internal.port}/`, 'http://127.0.0.1:1/', 'http://private.test/'];
    const { data } = await client.classify({ images: urls.map((url) => ({ url })) });
    const message = 'The URL does not lead to a public address.';
    expect(data!.classify.results).toEqual(
      urls.map(() => ({ __typename: 'ImageError', code: 'FORBIDDEN_URL', message })),
    );
    await expectBooked(server, client, { requests: 1, images: 0, units: 0, errors: 3 });
  });
});

describe('where there is a public host, its names and redirects do not lead inside either', () => {
  beforeAll(() => {
    outsideIsPublic = true;
  });

  it('a name that resolves inside, also as one of several addresses', () =>
    expectForbidden(
      ['inside.test', 'mixed.test', 'private.test', 'metadata.test', 'mapped.test'].map(
        (name) => `http://${name}:${internal.port}/`,
      ),
    ));

  it('a redirect from a public host', () =>
    expectForbidden(
      [
        `http://127.0.0.2:${internal.port}/`,
        `http://2130706434:${internal.port}/`,
        `http://[::1]:${internal.port}/`,
        `http://inside.test:${internal.port}/`,
        'http://169.254.169.254/latest/meta-data/',
        'file:///etc/passwd',
        `http://pictures.test:${publicHost.port}/?to=${encodeURIComponent(`http://127.0.0.2:${internal.port}/`)}`,
      ].map((to) => `http://pictures.test:${publicHost.port}/?to=${encodeURIComponent(to)}`),
    ));

  it('a public URL is fetched, and what goes wrong there is an ImageError of its own', async () => {
    const { client } = await server.createTenant();
    const at = (path: string) => ({ url: `http://pictures.test:${publicHost.port}${path}` });
    const answer = await client.classify({
      images: [
        at('/picture'),
        at(`/?to=${encodeURIComponent('/picture')}`),
        at('/text'),
        at('/large'),
        at('/missing'),
        { url: 'http://nowhere.test/' },
        { url: 'http://pictures.test:1/' },
      ],
      topK: 1,
    });
    expect(codes(answer)).toEqual([
      'red circle',
      'red circle',
      'UNSUPPORTED_FORMAT',
      'IMAGE_TOO_LARGE',
      'FETCH_FAILED',
      'FETCH_FAILED',
      'FETCH_FAILED',
    ]);
    await expectBooked(server, client, { requests: 1, images: 2, units: 2, errors: 5 });
  });
});
