import { connect } from 'node:net';
import { Gauge, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { Services } from '../../src/graphql/context.ts';
import { goodKey, minimalServices, startTransport } from './transport-server.ts';

describe('beside the API', () => {
  test('there is a page for people that loads nothing from elsewhere', async () => {
    const { url } = await startTransport();
    const response = await fetch(url);
    const page = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page).toContain(`${url}/graphql`);
    expect(page).toContain('/health/ready');
    expect(page).not.toMatch(/<script|<link|<img|src=|@import/);
    expect(page).not.toContain('{{');
  });

  test('a host that is no host does not reach the page', async () => {
    const { port } = await startTransport();
    const socket = connect(port, '127.0.0.1');
    const page = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (bytes) => {
        text += bytes;
      });
      socket.on('close', () => resolve(text));
    });
    socket.write('GET / HTTP/1.1\r\nhost: "><script>alert(1)</script>\r\nconnection: close\r\n\r\n');
    expect(await page).not.toContain('<script');
  });

  test('liveness, and readiness with its reason', async () => {
    let ready: true | string = true;
    const { url } = await startTransport({ ready: async () => ready });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    ready = 'no worker is ready';
    const response = await fetch(`${url}/health/ready`);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ status: 'not ready', reason: 'no worker is ready' });
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
  });

  test('a readiness check that fails is not ready', async () => {
    const { url } = await startTransport({
      ready: async () => {
        throw new Error('secret');
      },
    });
    const response = await fetch(`${url}/health/ready`);
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain('secret');
  });

  test('metrics: the process’s own and the transport’s, errors by code', async () => {
    const metrics = new Registry();
    new Gauge({ name: 'fovea_mine', help: 'x', registers: [metrics] }).set(7);
    const { url, execute } = await startTransport({ metrics });
    await execute('{ nothing }');
    const response = await fetch(`${url}/metrics`);
    const text = await response.text();
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(text).toContain('fovea_mine 7');
    expect(text).toContain('fovea_graphql_errors_total{code="GRAPHQL_VALIDATION_FAILED"} 1');
    expect(text).toContain('fovea_graphql_request_seconds_count{status="400"} 1');
  });

  test('nothing else', async () => {
    const { url } = await startTransport();
    expect((await fetch(`${url}/admin`)).status).toBe(404);
    expect((await fetch(`${url}/health/ready`, { method: 'POST' })).status).toBe(404);
  });

  test('answers say nothing of what serves them, and are kept by nobody', async () => {
    const { url, execute } = await startTransport();
    for (const { headers } of [
      await fetch(url),
      await fetch(`${url}/nothing`),
      await execute('{ __typename }'),
    ]) {
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('etag')).toBeNull();
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    }
  });
});

describe('GET', () => {
  const get = (
    url: string,
    query: string,
    headers: Record<string, string> = { 'apollo-require-preflight': '1' },
  ) =>
    fetch(`${url}/graphql?${new URLSearchParams({ query })}`, {
      headers: { authorization: goodKey, ...headers },
    });

  test('queries', async () => {
    const { url } = await startTransport();
    const response = await get(url, '{ viewer { principal } }');
    expect(await response.json()).toMatchObject({ data: { viewer: { principal: 'key test' } } });
  });

  test('does not mutate', async () => {
    const { url } = await startTransport();
    expect((await get(url, 'mutation { signOut }')).status).toBe(405);
  });

  test('is refused as a page of another origin could send it', async () => {
    const { url } = await startTransport();
    const response = await get(url, '{ viewer { principal } }', {});
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      errors: [{ message: expect.stringContaining('CSRF'), extensions: { code: 'BAD_USER_INPUT' } }],
    });
  });
});

describe('introspection', () => {
  const introspect = '{ __schema { queryType { name } } }';
  const mistyped = '{ viewe { principal } }';

  test('on: the schema is told, and names like the one mistyped', async () => {
    const { execute } = await startTransport();
    expect((await execute(introspect)).body.data).toEqual({ __schema: { queryType: { name: 'Query' } } });
    expect((await execute(mistyped)).body.errors?.[0]?.message).toContain('Did you mean "viewer"');
  });

  test('off: neither', async () => {
    const { execute } = await startTransport({ introspection: false });
    expect((await execute(introspect)).body.errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    expect((await execute(mistyped)).body.errors?.[0]?.message).not.toContain('viewer');
  });
});

/** A quota that is answered when `answer` is called; `asked` is how often it was asked for. */
function slowQuota() {
  const waiting: (() => void)[] = [];
  const ledger: Services['ledger'] = {
    quota: (_tenantId, limit) =>
      new Promise((resolve) => {
        const state = {
          meter: 'units',
          limit,
          used: 1,
          reserved: 0,
          remaining: null,
          resetsAt: new Date(0),
        } as const;
        waiting.push(() => resolve(state));
      }),
  };
  return { ledger, waiting };
}

describe('closing', () => {
  test('lets requests in flight end, and takes no new ones', async () => {
    const { ledger, waiting } = slowQuota();
    const { execute, server, url } = await startTransport({}, { ledger });
    const answer = execute('{ quota { used } }');
    await expect.poll(() => waiting.length).toBe(1);
    const closed = server.close(60_000);
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
    waiting[0]!();
    expect((await answer).body.data).toEqual({ quota: { used: 1 } });
    await closed;
  });

  test('cuts what is not answered in time', async () => {
    const { ledger, waiting } = slowQuota();
    const { execute, server } = await startTransport({}, { ledger });
    const answer = execute('{ quota { used } }').catch(() => 'cut');
    await expect.poll(() => waiting.length).toBe(1);
    await server.close(10);
    expect(await answer).toBe('cut');
  });

  test('again is the same close', async () => {
    const { server } = await startTransport();
    expect(server.close(10)).toBe(server.close(10));
    await server.close(10);
  });

  test('a port that is taken is told', async () => {
    const { port } = await startTransport();
    const { server } = await startTransport();
    await server.close(0);
    const { server: second } = await startTransport();
    await expect(second.listen(port, '127.0.0.1')).rejects.toThrow();
  });
});

test('the signal fires when the client hangs up, and not when it was answered', async () => {
  const signals: AbortSignal[] = [];
  const { execute, url } = await startTransport(
    {},
    {
      inference: {
        ...minimalServices.inference,
        classify: (caller, { topK }) => {
          signals.push(caller.signal);
          return topK === 1 ? new Promise(() => {}) : Promise.reject(new Error('answered'));
        },
      },
    },
  );
  const classify = (topK: number) =>
    `mutation { classify(input: { model: "m", images: { base64: "" }, topK: ${topK} }) { receipt { units } } }`;

  await execute(classify(2));
  const leaving = new AbortController();
  const left = fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: goodKey },
    body: JSON.stringify({ query: classify(1) }),
    signal: leaving.signal,
  }).catch(() => 'left');
  await expect.poll(() => signals.length).toBe(2);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
  leaving.abort();
  expect(await left).toBe('left');
  await expect.poll(() => signals[1]?.aborted).toBe(true);
  expect(signals[0]?.aborted).toBe(false);
});
