import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Server as TcpServer } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import {
  createSafeFetch,
  FetchFailedError,
  FetchRefusedError,
  FetchTooLargeError,
  type SafeFetch,
  type SafeFetchOptions,
} from '../../src/lib/safe-fetch.ts';

/** Stands for the public internet; 127.0.0.2 and every other address keep their real meaning. */
const allow = (address: string) => address === '127.0.0.1';

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

function fetcher(options: SafeFetchOptions = { allow }): SafeFetch {
  const fetch = createSafeFetch(options);
  opened.push(() => fetch.close());
  return fetch;
}

/** A server on every interface of this machine, IPv4 and IPv6, that counts who connects. */
async function serve(listener: RequestListener = (_request, response) => response.end('secret')) {
  const server = createServer(listener);
  let connections = 0;
  server.on('connection', () => connections++);
  const port = await listen(server);
  return { port, url: `http://127.0.0.1:${port}`, connections: () => connections };
}

async function listen(server: Server | TcpServer): Promise<number> {
  server.listen(0);
  await once(server, 'listening');
  opened.push(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

describe('what a stranger may not reach is refused before a connection', () => {
  const hosts = [
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
    'localhost.',
    'LOCALHOST',
    'anything.localhost',
    '[::1]',
    '[::]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:7f00:1::]',
    '[fe80::1]',
    '[fc00::1]',
    '[fd00:ec2::254]',
    '[fec0::1]',
    '[ff02::1]',
    '[2001:db8::1]',
    '[100::1]',
    '[5f00::1]',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '2852039166',
    '0xa9fea9fe',
    '100.64.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ];

  test.each(hosts)('http://%s/', async (host) => {
    const server = await serve();
    const fetch = fetcher({});
    await expect(fetch.get(`http://${host}:${server.port}/`)).rejects.toThrow(FetchRefusedError);
    await expect(fetch.get(`https://${host}:${server.port}/`)).rejects.toThrow(FetchRefusedError);
    expect(server.connections()).toBe(0);
  });

  test.each([
    'file:///etc/passwd',
    'ftp://127.0.0.1/a.png',
    'data:image/png;base64,AAAA',
    'gopher://127.0.0.1/',
    'blob:http://127.0.0.1/1',
    '/relative.png',
    'not a url',
    '',
    'http://',
    'http://user:password@127.0.0.1/',
    'http://user@127.0.0.1/',
  ])('%s', async (url) => {
    await expect(fetcher().get(url)).rejects.toThrow(FetchRefusedError);
  });

  test('a refusal tells neither the address nor what answers there', async () => {
    const server = await serve();
    const lookup = async () => [{ address: '10.11.12.13', family: 4 }];
    const error = await fetcher({ lookup })
      .get(`http://intranet.example:${server.port}/`)
      .catch((caught: Error) => caught);
    expect(error).toBeInstanceOf(FetchRefusedError);
    expect(String(error)).not.toMatch(/10\.11|intranet|secret/);
  });
});

describe('names', () => {
  const loopback = { address: '127.0.0.1', family: 4 };

  test('a name that resolves to an allowed address is fetched from it', async () => {
    const server = await serve();
    const body = await fetcher({ allow, lookup: async () => [loopback] }).get(
      `http://pictures.example:${server.port}/`,
    );
    expect(Buffer.from(body).toString()).toBe('secret');
  });

  test.each([
    ['forbidden alone', [{ address: '127.0.0.2', family: 4 }]],
    ['allowed, then forbidden', [loopback, { address: '127.0.0.2', family: 4 }]],
    ['allowed, then forbidden IPv6', [loopback, { address: '::1', family: 6 }]],
    ['a mapped form', [{ address: '::ffff:127.0.0.1', family: 6 }]],
    ['a scoped address', [{ address: 'fe80::1%lo', family: 6 }]],
  ])('a name that resolves to %s is refused', async (_name, addresses) => {
    const server = await serve();
    const fetch = fetcher({ allow, lookup: async () => addresses });
    await expect(fetch.get(`http://pictures.example:${server.port}/`)).rejects.toThrow(FetchRefusedError);
    expect(server.connections()).toBe(0);
  });

  test('a name that changes its address between checks is connected to only where it was checked', async () => {
    const server = await serve((_request, response) => {
      response
        .writeHead(302, { location: `http://pictures.example:${server.port}/2`, connection: 'close' })
        .end();
    });
    let asked = 0;
    const lookup = async () => (asked++ === 0 ? [loopback] : [{ address: '127.0.0.2', family: 4 }]);
    const fetch = fetcher({ allow, lookup });
    await expect(fetch.get(`http://pictures.example:${server.port}/1`)).rejects.toThrow(FetchRefusedError);
    expect({ asked, connections: server.connections() }).toEqual({ asked: 2, connections: 1 });
  });

  test('a name without an address fails, it is not forbidden', async () => {
    await expect(fetcher().get('http://no-such-host.invalid/')).rejects.toThrow(FetchFailedError);
    await expect(fetcher({ lookup: async () => [] }).get('http://empty.example/')).rejects.toThrow(
      FetchFailedError,
    );
  });

  test('a resolver that never answers is bounded', async () => {
    const lookup = () => new Promise<never>(() => {});
    const fetch = fetcher({ lookup, timeoutMs: 200 });
    await expect(fetch.get('http://silent.example/')).rejects.toThrow(/within 0\.2 s/);
  });
});

describe('redirects', () => {
  const redirecting = (locations: Record<string, string>, status = 302): RequestListener => {
    return (request, response) => {
      const location = locations[request.url ?? ''];
      if (location === undefined) response.end('picture');
      else response.writeHead(status, { location }).end('moved');
    };
  };

  test.each([301, 302, 303, 307, 308])('HTTP %i is followed, relative or absolute', async (status) => {
    const server = await serve(redirecting({ '/1': '2', '/2': '/3' }, status));
    expect(Buffer.from(await fetcher().get(`${server.url}/1`)).toString()).toBe('picture');
  });

  test('three are followed and a fourth is not', async () => {
    const server = await serve(redirecting({ '/1': '/2', '/2': '/3', '/3': '/4', '/4': '/5' }));
    expect(Buffer.from(await fetcher().get(`${server.url}/2`)).toString()).toBe('picture');
    await expect(fetcher().get(`${server.url}/1`)).rejects.toThrow(/more than 3 times/);
  });

  test.each([
    'http://127.0.0.2:PORT/',
    'http://2130706434:PORT/',
    'http://[::1]:PORT/',
    'http://localhost:PORT/',
    '//127.0.0.2:PORT/',
    'http://169.254.169.254/latest/meta-data/',
    'file:///etc/passwd',
    'http://user:password@127.0.0.1:PORT/',
  ])('to %s is refused', async (target) => {
    const inner = await serve();
    const server = await serve(redirecting({ '/1': target.replace('PORT', String(inner.port)) }));
    await expect(fetcher().get(`${server.url}/1`)).rejects.toThrow(FetchRefusedError);
    expect(inner.connections()).toBe(0);
  });
});

describe('what an answer may cost', () => {
  test.each([204, 304, 400, 404, 500])('HTTP %i is no picture', async (status) => {
    const server = await serve((_request, response) => response.writeHead(status).end());
    const outcome = fetcher().get(server.url);
    if (status === 204) await expect(outcome).resolves.toHaveLength(0);
    else await expect(outcome).rejects.toThrow(`HTTP status ${status}`);
  });

  test('a body over the limit is refused by its declared length', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '20000001' }).write('x');
    });
    await expect(fetcher().get(server.url)).rejects.toThrow(FetchTooLargeError);
  });

  test('a body without a length is cut off at the limit', async () => {
    let sent = 0;
    const server = await serve((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const timer = setInterval(() => {
        if (response.write(chunk)) sent += chunk.length;
      });
      response.on('close', () => clearInterval(timer));
    });
    await expect(fetcher({ allow, maxBytes: 1_000_000 }).get(server.url)).rejects.toThrow(FetchTooLargeError);
    expect(sent).toBeLessThan(20_000_000);
  });

  test.each([
    ['longer', '5', 'picture'],
    ['shorter', '100', 'picture'],
  ])('a body %s than its declared length fails', async (_name, length, body) => {
    const port = await listen(
      createTcpServer((socket) =>
        socket.resume().end(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${body}`),
      ),
    );
    const outcome = await fetcher()
      .get(`http://127.0.0.1:${port}/`)
      .then(
        (bytes) => bytes.byteLength,
        (error: Error) => error,
      );
    // Bytes beyond the declared length are not part of the body.
    if (length === '5') expect(outcome).toBe(5);
    else expect(outcome).toBeInstanceOf(FetchFailedError);
  });

  test.each(['an endless drip', 'no answer at all'])('%s ends with the time allowed', async (kind) => {
    const server = await serve((_request, response) => {
      if (kind === 'no answer at all') return;
      const timer = setInterval(() => response.write('x'), 20);
      response.on('close', () => clearInterval(timer));
    });
    await expect(fetcher({ allow, timeoutMs: 300 }).get(server.url)).rejects.toThrow(/within 0\.3 s/);
  });

  test('a compressed body is not asked for, and refused where it comes', async () => {
    let asked: string | undefined;
    const server = await serve((request, response) => {
      asked = request.headers['accept-encoding'];
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(30_000_000)));
    });
    await expect(fetcher().get(server.url)).rejects.toThrow(/compressed/);
    expect(asked).toBe('identity');
  });

  test('bytes that are not HTTP fail, and are not shown', async () => {
    const port = await listen(
      createTcpServer((socket) => socket.resume().end('220 internal-mail ready\r\n')),
    );
    const error = await fetcher()
      .get(`http://127.0.0.1:${port}/`)
      .catch((caught: Error) => caught);
    expect(error).toBeInstanceOf(FetchFailedError);
    expect(String(error)).not.toContain('internal-mail');
  });

  test('a client that hangs up ends the fetch with its own reason', async () => {
    const controller = new AbortController();
    const server = await serve(() => controller.abort(new Error('hung up')));
    await expect(fetcher().get(server.url, controller.signal)).rejects.toThrow('hung up');
  });

  test('the proxy settings of the environment are not used', async () => {
    const proxy = await serve();
    const server = await serve((_request, response) => response.end('picture'));
    const before = { ...process.env };
    Object.assign(process.env, {
      HTTP_PROXY: proxy.url,
      http_proxy: proxy.url,
      ALL_PROXY: proxy.url,
      NODE_USE_ENV_PROXY: '1',
    });
    opened.push(async () => {
      process.env = before;
    });
    expect(Buffer.from(await fetcher().get(server.url)).toString()).toBe('picture');
    expect(proxy.connections()).toBe(0);
  });
});
