import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BadUserInputError,
  type Fovea as Client,
  Fovea,
  type FoveaOptions,
  isImageError,
  NetworkError,
  NotFoundError,
  QuotaExceededError,
  RateLimitedError,
  UnauthenticatedError,
  UploadError,
} from '../../src/client/index.ts';
import { startServer, type TestServer, type TestTenant } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const circle = readFileSync(resolve(import.meta.dirname, '../../models/shapes/examples/red-circle.jpg'));

function clientOf(tenant: TestTenant, options: Partial<FoveaOptions> = {}): Client {
  return new Fovea({ url: server.url, token: tenant.key, ...options });
}

/** The platform's `fetch`, whose first answers are lost on their way back. */
function losing(answers: number): typeof fetch {
  let lost = 0;
  return async (...call) => {
    const response = await fetch(...call);
    if (lost >= answers) return response;
    lost += 1;
    await response.arrayBuffer();
    throw new TypeError('fetch failed', { cause: new Error('the connection broke') });
  };
}

describe('the client', () => {
  it('classifies bytes, however they come', async () => {
    const fovea = clientOf(await server.createTenant());
    const images = [
      circle,
      new Uint8Array(circle),
      new Blob([circle]),
      { base64: circle.toString('base64') },
    ];
    const { results, receipt } = await fovea.classify({ model: 'shapes', images, topK: 1 });
    expect(receipt).toMatchObject({ model: 'shapes', images: 4, units: 4, replayed: false });
    for (const result of results) {
      expect(result).toMatchObject({ __typename: 'Classification', labels: [{ label: 'red circle' }] });
    }
  });

  it('tells an image that failed from one that was answered', async () => {
    const fovea = clientOf(await server.createTenant());
    const { results } = await fovea.classify({
      model: 'shapes',
      images: [circle, new Uint8Array([1, 2, 3])],
    });
    expect(results.map(isImageError)).toEqual([false, true]);
    expect(results[1]).toMatchObject({ code: 'UNSUPPORTED_FORMAT' });
  });

  it('asks again for an answer that was lost, and is billed once', async () => {
    const tenant = await server.createTenant();
    const fovea = clientOf(tenant, { fetch: losing(2) });
    const { receipt } = await fovea.classify({ model: 'shapes', images: circle });
    expect(receipt).toMatchObject({ replayed: true, units: 0 });
    expect(await fovea.quota()).toMatchObject({ used: 1, reserved: 0 });
  });

  it('makes a key where one is undefined, and does not ask again where there is to be none', async () => {
    const fovea = clientOf(await server.createTenant(), { fetch: losing(1) });
    const made = await fovea.classify({ model: 'shapes', images: circle, idempotencyKey: undefined });
    expect(made.receipt.replayed).toBe(true);
    const keyless = clientOf(await server.createTenant(), { fetch: losing(1) });
    const call = keyless.classify({ model: 'shapes', images: circle, idempotencyKey: null });
    await expect(call).rejects.toBeInstanceOf(NetworkError);
    expect(await keyless.quota()).toMatchObject({ used: 1 });
  });

  it('does not repeat a mutation that it knows nothing of', async () => {
    const fovea = clientOf(await server.createTenant(), { fetch: losing(1) });
    const text = 'mutation { createApiKey(input: { name: "once" }) { secret } }';
    await expect(fovea.request({ text }, {})).rejects.toBeInstanceOf(NetworkError);
    const { apiKeys } = await fovea.request<{ apiKeys: { totalCount: number } }>(
      { text: '{ apiKeys { totalCount } }' },
      {},
    );
    expect(apiKeys.totalCount).toBe(2);
  });

  it('asks for the present token at each try', async () => {
    const tenant = await server.createTenant();
    let asked = 0;
    const token = async () => {
      asked += 1;
      return tenant.key;
    };
    const fovea = clientOf(tenant, { token, fetch: losing(1) });
    expect((await fovea.viewer()).principal).toBe('key test');
    expect(asked).toBe(2);
  });

  it('waits as long as a busy server asks, and gives up where it may not', async () => {
    const tenant = await server.createTenant({ plan: 'Free' });
    const { burst } = (await clientOf(tenant).viewer()).tenant.plan;
    const images = Array.from({ length: 31 }, () => circle);
    const calls = Array.from({ length: Math.ceil(burst / 32) + 1 }, () => ({ model: 'shapes', images }));
    const impatient = clientOf(tenant, { maxRetries: 0 });
    const refused = await Promise.allSettled(calls.map((call) => impatient.classify(call)));
    const refusals = refused.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
    expect(refusals).not.toEqual([]);
    const limited = refusals.find((reason) => reason instanceof RateLimitedError)!;
    expect(limited.retryAfterMs).toBeGreaterThan(0);
    const patient = clientOf(tenant, { maxRetries: 20 });
    const { receipt } = await patient.classify(calls[0]!);
    expect(receipt.images).toBe(31);
  });

  it('stops waiting when it is told to', async () => {
    const tenant = await server.createTenant();
    const stop = new AbortController();
    const lose = losing(Number.POSITIVE_INFINITY);
    let tries = 0;
    const counted: typeof fetch = (...call) => {
      tries += 1;
      return lose(...call).finally(() => setTimeout(() => stop.abort(new Error('enough')), 20));
    };
    const fovea = clientOf(tenant, { fetch: counted, maxRetries: 1_000 });
    const call = fovea.classify({ model: 'shapes', images: circle }, { signal: stop.signal });
    await expect(call).rejects.toThrow('enough');
    expect(tries).toBe(1);
  });

  it('uploads what is large', async () => {
    const tenant = await server.createTenant();
    const noise = Buffer.from(
      Uint32Array.from({ length: 400_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1)).buffer,
    );
    const large = await sharp(noise, { raw: { width: 500, height: 800, channels: 4 } })
      .removeAlpha()
      .png()
      .toBuffer();
    expect(large.byteLength).toBeGreaterThan(1_000_000);
    const bodies: number[] = [];
    const counting: typeof fetch = (url, init) => {
      bodies.push(init?.body instanceof Uint8Array ? init.body.byteLength : String(init?.body).length);
      return fetch(url, init);
    };
    const { results, receipt } = await clientOf(tenant, { fetch: counting }).classify({
      model: 'shapes',
      images: large,
    });
    expect(results).toMatchObject([{ __typename: 'Classification', width: 500, height: 800 }]);
    expect(receipt.units).toBe(1);
    expect(bodies).toEqual([expect.any(Number), large.byteLength, expect.any(Number)]);
    expect(bodies[2]).toBeLessThan(2_000);
  });

  it('does not upload what is no picture', async () => {
    const fovea = clientOf(await server.createTenant());
    await expect(fovea.upload(new Uint8Array(10))).rejects.toThrow(UploadError);
  });

  it('reads models, usage and whoever it is', async () => {
    const fovea = clientOf(await server.createTenant());
    await fovea.classify({ model: 'shapes', images: circle });
    const names: string[] = [];
    for await (const { name } of fovea.models({ task: 'CLASSIFY' })) names.push(name);
    expect(names).toContain('shapes');
    expect(await fovea.model('shapes')).toMatchObject({ version: 1, task: 'CLASSIFY' });
    expect(await fovea.model('none')).toBeNull();
    const now = Date.now();
    const span = { from: new Date(now - 60_000).toISOString(), to: new Date(now + 60_000).toISOString() };
    expect(await fovea.usage({ ...span, groupBy: ['MODEL'] })).toMatchObject([{ model: 'shapes', units: 1 }]);
    const { data } = {
      data: await fovea.request<{ viewer: { principal: string } }>({ text: '{ viewer { principal } }' }, {}),
    };
    expect(data.viewer.principal).toBe('key test');
  });
});

describe('an error of the client', () => {
  it.each([
    ['a model that is not there', { model: 'none' }, NotFoundError],
    ['an argument out of range', { model: 'shapes', topK: 0 }, BadUserInputError],
    ['a value that the schema lacks', { model: 'shapes', compression: 'ZIP' as 'NONE' }, BadUserInputError],
  ])('names %s by its class', async (_, input, expected) => {
    const fovea = clientOf(await server.createTenant());
    const error = await fovea.classify({ ...input, images: circle }).catch((reason) => reason);
    expect(error).toBeInstanceOf(expected);
    expect(error.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('names a credential that does not hold, and a quota that is used up', async () => {
    const tenant = await server.createTenant({ unitLimit: 1 });
    const stranger = new Fovea({ url: server.url, token: 'nothing' });
    await expect(stranger.viewer()).rejects.toBeInstanceOf(UnauthenticatedError);
    const call = clientOf(tenant).classify({ model: 'shapes', images: [circle, circle] });
    const error = await call.catch((reason) => reason);
    expect(error).toBeInstanceOf(QuotaExceededError);
    expect(error.extensions).toMatchObject({ remaining: 1 });
  });

  it.each([
    ['nobody answers', () => 'http://127.0.0.1:9'],
    ['something else answers', () => `${server.url}/health/live?`],
  ])('says that %s', async (_, url) => {
    const fovea = new Fovea({ url: url(), token: 'any', maxRetries: 0 });
    await expect(fovea.viewer()).rejects.toBeInstanceOf(NetworkError);
  });
});
