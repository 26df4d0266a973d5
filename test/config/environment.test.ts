import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../src/config/environment.ts';
import { OperatorError } from '../../src/lib/errors.ts';

function faultOf(env: Record<string, string>): OperatorError {
  try {
    readEnvironment(env);
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
  throw new Error('expected a fault');
}

describe('environment', () => {
  it('has a default for everything', () => {
    const { config, secrets, unknown } = readEnvironment({ PATH: '/bin' });
    expect(config).toMatchObject({ port: null, host: '127.0.0.1', workers: [], introspection: true });
    expect(config.dataDir).toMatch(/^\/.*\.fovea$/);
    expect(secrets).toEqual({
      databaseUrl: null,
      migrateUrl: null,
      redisUrl: null,
      workerToken: null,
      upstreamToken: null,
      initPassword: null,
      initApiKey: null,
    });
    expect(unknown).toEqual([]);
    expect([config.tracing, config.workerTracing]).toEqual([null, null]);
  });

  it('takes an empty variable as unset', () => {
    expect(readEnvironment({ PORT: '', DATABASE_URL: '' }).config.port).toBeNull();
  });

  it('reads what is set', () => {
    const { config, secrets } = readEnvironment({
      PORT: '0',
      FOVEA_WORKERS: 'http://one:8001/, https://two',
      FOVEA_INTROSPECTION: 'off',
      DATABASE_URL: 'postgres://user:pass@host/db',
    });
    expect(config).toMatchObject({
      port: 0,
      workers: ['http://one:8001', 'https://two'],
      introspection: false,
    });
    expect(secrets.databaseUrl).toBe('postgres://user:pass@host/db');
  });

  it('takes a Redis by its URL, which it does not show', () => {
    const { config, secrets } = readEnvironment({ REDIS_URL: 'rediss://user:pass@host:6380/2' });
    expect(secrets.redisUrl).toBe('rediss://user:pass@host:6380/2');
    expect(config.withoutRedis).toBe('local');
    expect(readEnvironment({ FOVEA_WITHOUT_REDIS: 'refuse' }).config.withoutRedis).toBe('refuse');
    expect(faultOf({ REDIS_URL: 'http://:pass@host' }).message).toContain(
      'REDIS_URL: found (not shown), wanted redis://user:password@host:port/number',
    );
    expect(faultOf({ FOVEA_WITHOUT_REDIS: 'open' }).message).toContain('wanted local or refuse');
  });

  it('takes a base URL with a path, and no more of a URL', () => {
    const publicUrlOf = (FOVEA_PUBLIC_URL: string) => readEnvironment({ FOVEA_PUBLIC_URL }).config.publicUrl;
    expect(publicUrlOf('https://Vision.example.com')).toBe('https://vision.example.com');
    expect(publicUrlOf('http://10.0.0.1:8080/api/')).toBe('http://10.0.0.1:8080/api');
    for (const url of ['vision.example.com', 'ftp://x', 'https://x/?a=1', 'https://x/#a', 'https://u:p@x/'])
      expect(faultOf({ FOVEA_PUBLIC_URL: url }).message).toContain('wanted the base URL');
  });

  it('takes the price of cached images as a word or as a share', () => {
    const shareOf = (FOVEA_CACHED_UNITS: string) =>
      readEnvironment({ FOVEA_CACHED_UNITS }).config.cachedShare;
    expect(['', 'free', 'full', '0', '0.25', '0.000001', '1', '1.00'].map(shareOf)).toEqual([
      0, 0, 1, 0, 0.25, 0.000001, 1, 1,
    ]);
    for (const share of ['half', '1.1', '-0.5', '.5', '0.', '1e-3', '0.0000001'])
      expect(faultOf({ FOVEA_CACHED_UNITS: share }).message).toContain('wanted free, full, or the share');
    expect(readEnvironment({}).config.cacheBytes).toBe(64 * 1024 * 1024);
    expect(readEnvironment({ FOVEA_CACHE_BYTES: '0' }).config.cacheBytes).toBe(0);
    expect(faultOf({ FOVEA_CACHE_BYTES: '64M' }).message).toContain('wanted a number of bytes');
  });

  it('takes providers in their order, each once', () => {
    const { config } = readEnvironment({
      FOVEA_PROVIDERS: 'tensorrt, cuda,cpu',
      FOVEA_WORKERS_PER_DEVICE: '2',
    });
    expect(config).toMatchObject({ providers: ['tensorrt', 'cuda', 'cpu'], workersPerDevice: 2 });
    expect(readEnvironment({}).config).toMatchObject({
      providers: ['cpu'],
      workersPerDevice: null,
      workerThreads: null,
    });
    for (const FOVEA_PROVIDERS of ['gpu', 'CUDA', 'cuda,cuda', 'cpu,', ',', 'cuda;cpu']) {
      const fault = faultOf({ FOVEA_PROVIDERS });
      expect(fault.exitCode).toBe(2);
      expect(fault.message).toMatch(/FOVEA_PROVIDERS: found ".*", wanted cpu, webgpu, cuda, tensorrt, or/);
    }
    for (const FOVEA_WORKERS_PER_DEVICE of ['0', '17'])
      expect(faultOf({ FOVEA_WORKERS_PER_DEVICE }).message).toContain(
        'wanted a number of local workers, 1..16',
      );
  });

  it('reports every fault together: the variable, what was found, what is wanted', () => {
    const { message, exitCode } = faultOf({
      PORT: '65536',
      FOVEA_LOG_LEVEL: 'loud',
      FOVEA_WORKERS: 'ftp://x',
    });
    expect(exitCode).toBe(2);
    expect(message).toMatch(/PORT: found "65536", wanted a port number, 0\.\.65535/);
    expect(message).toMatch(/FOVEA_LOG_LEVEL: found "loud", wanted .*debug/);
    expect(message).toMatch(/FOVEA_WORKERS: found "ftp:\/\/x", wanted base URLs/);
  });

  it('takes workers at fixed addresses, and at each address of a name', () => {
    const list = 'https://gpu.example/triton, dns+http://workers.internal:8001,DNS+HTTPS://workers.example';
    expect(readEnvironment({ FOVEA_WORKERS: list }).config.workers).toEqual([
      'https://gpu.example/triton',
      'dns+http://workers.internal:8001',
      'DNS+HTTPS://workers.example',
    ]);
  });

  it.each([
    'worker:8001',
    'http://',
    'http://a:8001,',
    'http://a,http://a/',
    'dns+http://a:8001/path',
    'dns+tcp://a:8001',
    'dns://a',
    'http://a:8001?x=1',
    'http://a:99999',
  ])('refuses the workers %j', (list) => {
    const { message, exitCode } = faultOf({ FOVEA_WORKERS: list });
    expect(exitCode).toBe(2);
    expect(message).toContain(`FOVEA_WORKERS: found ${JSON.stringify(list)}, wanted base URLs of workers`);
    expect(message).toContain('dns+https://name:port');
  });

  it('shows no credential of a worker whose address may have none', () => {
    const { message } = faultOf({ FOVEA_WORKERS: 'http://me:topsecret@worker:8001' });
    expect(message).toContain('FOVEA_WORKERS: found "http://…@worker:8001", wanted');
  });

  it.each(['-1', '1.5', 'http', ' 80', '0x50'])('refuses the port %j', (port) => {
    expect(faultOf({ PORT: port }).message).toContain('PORT');
  });

  it('never shows a secret', () => {
    const { message } = faultOf({
      FOVEA_INIT_PASSWORD: 'hunter2',
      DATABASE_URL: 'mysql://me:topsecret@host/db',
    });
    expect(message).toContain('FOVEA_INIT_PASSWORD: found (not shown)');
    expect(message).not.toMatch(/hunter2|topsecret/);
  });

  it('names variables of ours that no setting has', () => {
    const env = { FOVEA_INTROSPECTON: 'off', STRIPE_SECRET_KEY: 'sk', HOME: '/' };
    expect(readEnvironment(env).unknown).toEqual(['FOVEA_INTROSPECTON', 'STRIPE_SECRET_KEY']);
  });

  it.each([
    ['2', 2],
    ['10.0.0.0/8, loopback,2001:db8::1', '10.0.0.0/8, loopback,2001:db8::1'],
  ])('trusts the proxies %j', (text, trustProxy) => {
    expect(readEnvironment({ FOVEA_TRUST_PROXY: text }).config.trustProxy).toBe(trustProxy);
  });

  it.each(['everyone', '17', 'abc', '999.1.1.1', '10.0.0.0/33', '10.0.0.0/8/8'])(
    'trusts no proxy by %j',
    (text) => {
      expect(faultOf({ FOVEA_TRUST_PROXY: text }).message).toContain(`FOVEA_TRUST_PROXY: found "${text}"`);
    },
  );
});
