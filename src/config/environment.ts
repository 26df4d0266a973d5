import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { byteSize, parseByteSize } from '../lib/byte-size.ts';
import { OperatorError } from '../lib/errors.ts';
import { parseWorkerAddress, WORKER_ADDRESS_WANTED } from '../lib/worker-address.ts';
import { type Config, providers, type Secrets } from './config.ts';
import { httpUrl, integer, type Setting, secret, setting, type ValuesOf } from './setting.ts';
import { tracingOf, tracingSettings, workerTracingOf } from './tracing.ts';

/** Less holds no model beside the process itself. */
const LEAST_WORKER_MEMORY = 256 * 2 ** 20;
const WORKER_MEMORY_WANTED = `${byteSize(LEAST_WORKER_MEMORY)} or more, e.g. 800MiB or 4GiB`;

const networks = (list: string) => list.split(',').every((part) => isNetwork(part.trim()));

/** An address, a network in CIDR notation, or a name that Express has for some: what it would throw on later. */
function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    bits > 0 &&
    rest.length === 0 &&
    (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}

/** An origin, perhaps with a path below which a proxy serves this. */
const isBaseUrl = (value: string) => {
  const url = URL.parse(value);
  return url !== null && httpUrl(value) && `${url.search}${url.hash}${url.username}${url.password}` === '';
};
const redisUrl = (value: string) => /^rediss?:$/.test(URL.parse(value)?.protocol ?? '');
const postgresUrl = (value: string) => /^postgres(ql)?:$/.test(URL.parse(value)?.protocol ?? '');

const settings = {
  PORT: setting(integer(0, 65_535), 'a port number, 0..65535 (0: any free one)'),
  FOVEA_HOST: setting(z.string().regex(/^[A-Za-z0-9.:-]+$/), 'an address or host name to listen on'),
  FOVEA_DATA_DIR: setting(z.string(), 'a directory'),
  DATABASE_URL: secret(z.string().refine(postgresUrl), 'postgresql://user:password@host:port/database'),
  FOVEA_MIGRATE_URL: secret(z.string().refine(postgresUrl), 'postgresql://user:password@host:port/database'),
  FOVEA_ROLE: setting(z.enum(['all', 'api', 'jobs']), 'all, api or jobs'),
  REDIS_URL: secret(
    z.string().refine(redisUrl),
    'redis://user:password@host:port/number, or rediss:// for TLS',
  ),
  FOVEA_WITHOUT_REDIS: setting(z.enum(['local', 'refuse']), 'local or refuse'),
  FOVEA_WORKERS: setting(
    z
      .string()
      .transform((list) => list.split(',').map((entry) => entry.trim().replace(/\/+$/, '')))
      .refine((entries) => entries.every(parseWorkerAddress) && new Set(entries).size === entries.length),
    WORKER_ADDRESS_WANTED,
  ),
  FOVEA_WORKER_TOKEN: secret(z.string().regex(/^[!-~]{16,512}$/), '16..512 visible ASCII characters'),
  FOVEA_UPSTREAM_TOKEN: secret(z.string().regex(/^[!-~]{1,4096}$/), '1..4096 visible ASCII characters'),
  FOVEA_PROVIDERS: setting(
    z
      .string()
      .transform((list) => list.split(',').map((name) => name.trim()))
      .pipe(z.array(z.enum(providers)))
      .refine((names) => new Set(names).size === names.length),
    `${providers.join(', ')}, or several of them, each once, separated by commas`,
  ),
  FOVEA_WORKERS_PER_DEVICE: setting(integer(1, 16), 'a number of local workers, 1..16'),
  FOVEA_WORKER_THREADS: setting(integer(1, 256), 'a number of threads, 1..256'),
  FOVEA_WORKER_MEMORY: setting(
    z
      .string()
      .transform((text) => parseByteSize(text) ?? 0)
      .refine((bytes) => bytes >= LEAST_WORKER_MEMORY),
    WORKER_MEMORY_WANTED,
  ),
  FOVEA_TENSORFLOW: setting(z.enum(['auto', 'native', 'wasm']), 'auto, native or wasm'),
  FOVEA_MAX_QUEUED_IMAGES: setting(integer(32, 1_000_000), 'a number of images, 32..1000000'),
  FOVEA_CACHE_BYTES: setting(integer(0, 2 ** 40), 'a number of bytes, 0..1099511627776 (0: no cache)'),
  FOVEA_CACHED_UNITS: setting(
    z
      .string()
      .regex(/^(free|full|0(\.\d{1,6})?|1(\.0{1,6})?)$/)
      .transform((text) => ({ free: 0, full: 1 })[text] ?? Number(text)),
    'free, full, or the share of the price, 0..1 with six decimals at most',
  ),
  FOVEA_INTROSPECTION: setting(
    z.enum(['on', 'off', 'true', 'false']).transform((value) => value === 'on' || value === 'true'),
    'on or off',
  ),
  FOVEA_TRUST_PROXY: setting(
    z.union([integer(0, 16), z.string().refine(networks)]),
    'how many proxies stand in front, 0..16, or their addresses, e.g. 10.0.0.0/8,192.0.2.7',
  ),
  FOVEA_PUBLIC_URL: setting(
    z
      .string()
      .refine(isBaseUrl)
      .transform((url) => new URL(url).href.replace(/\/+$/, '')),
    'the base URL that clients reach this service at, e.g. https://vision.example.com',
  ),
  FOVEA_LOG_LEVEL: setting(
    z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']),
    'fatal, error, warn, info, debug or silent',
  ),
  FOVEA_INIT_TENANT: setting(z.string().max(200), "the initial tenant's name, 1..200 characters"),
  FOVEA_INIT_EMAIL: setting(z.email(), "the initial owner's e-mail address"),
  FOVEA_INIT_PASSWORD: secret(z.string().min(12).max(256), 'a password of 12..256 characters'),
  FOVEA_INIT_API_KEY: secret(
    z.string().regex(/^fov_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}[0-9a-f]{8}$/),
    'an API key as Fovea makes them: fov_<8>_<43><8 hexadecimal digits>',
  ),
  ...tracingSettings,
};

type Settings = typeof settings;
type Values = ValuesOf<Settings>;

export interface Environment {
  readonly config: Config;
  readonly secrets: Secrets;
  /** Variables that look like ours and that no setting is named by: misspelt, or of another version. */
  readonly unknown: readonly string[];
}

/**
 * Reads every setting once. An empty variable counts as unset.
 *
 * @throws OperatorError (exit 2) that names every fault at once: the variable, what was found, what is wanted
 */
export function readEnvironment(env: Record<string, string | undefined>): Environment {
  const read = readSettings(env);
  const dataDir = resolve(read.FOVEA_DATA_DIR ?? '.fovea');
  return {
    config: {
      port: read.PORT ?? null,
      host: read.FOVEA_HOST ?? '127.0.0.1',
      role: read.FOVEA_ROLE ?? 'all',
      dataDir,
      artifactsDir: join(dataDir, 'artifacts'),
      uploadsDir: join(dataDir, 'uploads'),
      publicUrl: read.FOVEA_PUBLIC_URL ?? null,
      workers: read.FOVEA_WORKERS ?? [],
      providers: read.FOVEA_PROVIDERS ?? ['cpu'],
      workersPerDevice: read.FOVEA_WORKERS_PER_DEVICE ?? null,
      workerThreads: read.FOVEA_WORKER_THREADS ?? null,
      workerMemory: read.FOVEA_WORKER_MEMORY ?? null,
      tensorFlow: read.FOVEA_TENSORFLOW ?? 'auto',
      maxQueuedImages: read.FOVEA_MAX_QUEUED_IMAGES ?? 1_024,
      cacheBytes: read.FOVEA_CACHE_BYTES ?? 64 * 2 ** 20,
      withoutRedis: read.FOVEA_WITHOUT_REDIS ?? 'local',
      cachedShare: read.FOVEA_CACHED_UNITS ?? 0,
      introspection: read.FOVEA_INTROSPECTION ?? true,
      trustProxy: read.FOVEA_TRUST_PROXY ?? 0,
      logLevel: read.FOVEA_LOG_LEVEL ?? 'info',
      tracing: tracingOf(read),
      workerTracing: workerTracingOf(read),
      firstBoot: {
        tenant: read.FOVEA_INIT_TENANT ?? 'Operator',
        email: read.FOVEA_INIT_EMAIL ?? 'owner@fovea.localhost',
      },
    },
    secrets: secretsOf(read),
    unknown: Object.keys(env).filter((name) => /^(FOVEA_|STRIPE_)/.test(name) && !(name in settings)),
  };
}

function secretsOf(read: Values): Secrets {
  return {
    databaseUrl: read.DATABASE_URL ?? null,
    migrateUrl: read.FOVEA_MIGRATE_URL ?? null,
    redisUrl: read.REDIS_URL ?? null,
    workerToken: read.FOVEA_WORKER_TOKEN ?? null,
    upstreamToken: read.FOVEA_UPSTREAM_TOKEN ?? null,
    initPassword: read.FOVEA_INIT_PASSWORD ?? null,
    initApiKey: read.FOVEA_INIT_API_KEY ?? null,
  };
}

/** A URL's credentials left out, which belong in no setting that may be shown. */
function shown(text: string): string {
  return JSON.stringify(text.replace(/\/\/[^/@,\s]*@/g, '//…@'));
}

function readSettings(env: Record<string, string | undefined>): Values {
  const values: Partial<Record<keyof Settings, unknown>> = {};
  const faults: string[] = [];
  for (const name of Object.keys(settings) as (keyof Settings)[]) {
    const text = env[name];
    if (text === undefined || text === '') continue;
    const { schema, wanted, secret }: Setting<unknown> = settings[name];
    const parsed = schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else faults.push(`  ${name}: found ${secret ? '(not shown)' : shown(text)}, wanted ${wanted}`);
  }
  if (faults.length > 0) throw new OperatorError(`These settings cannot be used:\n${faults.join('\n')}`, 2);
  return values as Values;
}
