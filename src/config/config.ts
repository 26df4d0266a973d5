import type { TracingSettings } from '../lib/tracing/tracer.ts';

/** Execution providers of ONNX Runtime. */
export const providers = ['cpu', 'webgpu', 'cuda', 'tensorrt'] as const;
export type Provider = (typeof providers)[number];
export type TensorFlowChoice = 'auto' | 'native' | 'wasm';

/** What the process was told, validated. Made by `readEnvironment`; tests make their own. */
export interface Config {
  /** null: 4000, or the next free port above it. 0: any free one. */
  readonly port: number | null;
  readonly host: string;
  /** api: it serves, and leaves what is due without being asked to processes of the role jobs, which do that alone. */
  readonly role: 'all' | 'api' | 'jobs';
  /** Absolute. Holds the embedded database and the artefacts. */
  readonly dataDir: string;
  /** The artefact store, within `dataDir`. */
  readonly artifactsDir: string;
  /** What tenants uploaded, within `dataDir`. */
  readonly uploadsDir: string;
  /** Where clients reach this service, without a slash at its end; null: where each request says it came to. */
  readonly publicUrl: string | null;
  /** Workers' addresses, as `parseWorkerAddress` reads them; none: local workers. */
  readonly workers: readonly string[];
  /** What local workers compute with, the most wanted first. */
  readonly providers: readonly Provider[];
  /** Local workers on each device; null: two on a CPU of several cores, else one. */
  readonly workersPerDevice: number | null;
  /** Threads of each local worker's engine; null: the cores, divided among them. */
  readonly workerThreads: number | null;
  /** Resident memory that each local worker may take, bytes; null: half of the machine's, divided among them. */
  readonly workerMemory: number | null;
  /** Which TensorFlow runs models of its formats. auto: native where it is installed, else WebAssembly. */
  readonly tensorFlow: TensorFlowChoice;
  /** Images admitted and not yet answered, at most, half of them of one tenant, large ones counted as several; one more is OVERLOADED. */
  readonly maxQueuedImages: number;
  /** Results kept, bytes at most; 0: none, and every image is run. */
  readonly cacheBytes: number;
  /** What of the price an image costs that was not run for its request, 0..1, at most six decimals. */
  readonly cachedShare: number;
  /** While Redis is away: each process keeps limits by itself, or nothing is admitted. */
  readonly withoutRedis: 'local' | 'refuse';
  readonly introspection: boolean;
  /** Whose `X-Forwarded-For` is believed: how many proxies stand in front, or their addresses. 0: nobody's. */
  readonly trustProxy: number | string;
  readonly logLevel: string;
  /** null: nothing is traced. */
  readonly tracing: TracingSettings | null;
  /** As `tracing`, for the workers of this machine. */
  readonly workerTracing: TracingSettings | null;
  readonly firstBoot: { readonly tenant: string; readonly email: string };
}

/** Kept apart from `Config`, so that a config can be logged. */
export interface Secrets {
  /** null: the embedded server. */
  readonly databaseUrl: string | null;
  /** A login of its own for migrations; null: `databaseUrl`'s. */
  readonly migrateUrl: string | null;
  /** Shares limits between API processes; null: each has its own. */
  readonly redisUrl: string | null;
  /** What a worker asks of whoever calls it; null: nothing. */
  readonly workerToken: string | null;
  /** What the server before which a worker stands asks of it; null: nothing. */
  readonly upstreamToken: string | null;
  readonly initPassword: string | null;
  readonly initApiKey: string | null;
}
