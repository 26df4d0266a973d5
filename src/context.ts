import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Invoices } from './billing/invoices.ts';
import type { Config, Secrets } from './config/config.ts';
import { tracingEnvironment } from './config/tracing.ts';
import { type Database, openDatabase } from './db/database.ts';
import { startEmbeddedPostgres } from './db/embedded.ts';
import { migrateInstallation } from './db/migrate-installation.ts';
import { openNotifications } from './db/notifications.ts';
import { createGraphqlServer, type GraphqlServer } from './graphql/server.ts';
import { ArtifactStore } from './inference/artifact-store.ts';
import { ResultCache } from './inference/cache/result-cache.ts';
import { TensorThreads } from './inference/foreign/tensor-threads.ts';
import { ModelHealth } from './inference/model-health.ts';
import { NO_ROOM, OipError } from './inference/oip/errors.ts';
import type { Resolve } from './inference/pool/dns-workers.ts';
import { LocalWorker } from './inference/pool/local-worker.ts';
import { openWorkers } from './inference/pool/open-workers.ts';
import { WorkerPool } from './inference/pool/pool.ts';
import { placeWorkers } from './inference/providers/place-workers.ts';
import { Dispatcher } from './inference/scheduler/dispatcher.ts';
import { InferenceService } from './inference/service.ts';
import { OutputReader } from './inference/tasks/output-reader.ts';
import { defaultBudget } from './inference/worker/memory-budget.ts';
import { createHealthServer } from './jobs/health-server.ts';
import { Jobs } from './jobs/jobs.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import { OperatorError } from './lib/errors.ts';
import type { Lifetime } from './lib/lifetime.ts';
import type { Logger } from './lib/logger.ts';
import { createSafeFetch, type SafeFetch } from './lib/safe-fetch.ts';
import { openTracer } from './lib/tracing/tracer.ts';
import { Ledger } from './metering/ledger.ts';
import { UsageReader } from './metering/usage.ts';
import { UsageExport } from './metering/usage-export.ts';
import { createMetrics } from './metrics.ts';
import { importModel } from './models/import.ts';
import { ModelRegistry, type ServedModel } from './models/registry.ts';
import { answerRollouts, SERVER_CONNECTION } from './models/rollout.ts';
import { RegistrySelection } from './models/selection.ts';
import { withTrials } from './models/trials.ts';
import type { FirstBoot } from './tenants/first-boot.ts';
import { openLimits } from './tenants/limits.ts';
import { createTenancy } from './tenants/tenancy.ts';
import { Uploads } from './uploads/uploads.ts';

/** What a process hands in, and what a test puts in the place of what would be made. */
export interface Surroundings {
  readonly logger: Logger;
  /** Takes over the end of all that is opened. Its owner may close it at any moment, also while the context is made. */
  readonly lifetime: Lifetime;
  readonly clock?: Clock;
  readonly fetch?: SafeFetch;
  /** See `DispatcherOptions`. */
  readonly hangMs?: number;
  /** Resolves workers' names. */
  readonly resolve?: Resolve;
}

/** Everything that lives as long as the process. */
export interface Context {
  readonly database: Database;
  readonly pool: WorkerPool;
  /** Starts to answer; settles once the models are warm. */
  listen(): Promise<Listening>;
}

export interface Listening {
  /** The base URL. */
  readonly url: string;
  /** What the first boot created; null where the installation was there before. */
  readonly created: FirstBoot | null;
}

/** How long requests in flight may take to end once the server stops. */
const GRACE_MS = 4_000;
const FIRST_PORT = 4_000;
const PORTS_TRIED = 100;
const builtInModels = ['shapes', 'shapes-detect', 'shapes-segment'].map((name) =>
  fileURLToPath(new URL(`../models/${name}/manifest.json`, import.meta.url)),
);

/** From a configuration to a server: the one place where parts meet. */
export async function createContext(
  config: Config,
  secrets: Secrets,
  { logger, lifetime, clock = systemClock, fetch = createSafeFetch(), hangMs, resolve }: Surroundings,
): Promise<Context> {
  const places =
    config.workers.length > 0 ? [] : await placeWorkers(config.providers, config.workersPerDevice);
  const tracer = await openTracer(config.tracing, { service: 'fovea', logger });
  lifetime.own({ name: 'tracer', close: () => tracer.close() });
  lifetime.own({ name: 'fetch', close: () => fetch.close() });
  const database = await openMigratedDatabase(config, secrets, { logger, lifetime });
  const notifications = await openNotifications(database.url, logger, SERVER_CONNECTION);
  lifetime.own({ name: 'notifications', close: () => notifications.close() });

  const limits = await openLimits({
    redisUrl: secrets.redisUrl,
    withoutRedis: config.withoutRedis,
    logger,
    clock,
  });
  lifetime.own({ name: 'limits', close: () => limits.close() });
  const { rateLimiter, concurrency } = limits;
  const tenancy = createTenancy({ database, notifications, rateLimiter, logger, clock });
  lifetime.own({ name: 'tenancy', close: () => tenancy.close() });

  const ledger = await openLedger(database, { logger, lifetime });
  const jobs = config.role === 'all' ? openJobs(database, ledger, { logger, lifetime }) : null;

  const uploads = new Uploads({ database, dir: config.uploadsDir, logger, clock });
  lifetime.own({ name: 'uploads', close: () => uploads.close() });
  await uploads.start();

  const artifacts = new ArtifactStore(config.artifactsDir);
  const tensorThreads = new TensorThreads(logger);
  lifetime.own({ name: "threads for other servers' tensors", close: () => tensorThreads.close() });
  const pool = new WorkerPool(logger);
  lifetime.own({ name: 'workers', close: () => pool.close(), killNow: () => pool.killNow() });
  const threads = config.workerThreads ?? Math.max(1, Math.floor(availableParallelism() / places.length));
  const memoryBytes = config.workerMemory ?? defaultBudget(places.length);
  for (const [index, compute] of places.entries()) {
    const name = places.length === 1 ? 'local' : `local-${index}`;
    pool.add(
      new LocalWorker(
        {
          name,
          host: pool,
          artifacts: artifacts.dir,
          threads,
          memoryBytes,
          compute,
          tensorFlow: config.tensorFlow,
          environment: tracingEnvironment(config.workerTracing),
        },
        logger,
      ),
    );
  }
  for (const entry of config.workers)
    openWorkers(pool, entry, {
      logger,
      token: secrets.workerToken,
      artifacts,
      threads: tensorThreads,
      resolve,
    });

  const registry = new ModelRegistry(database, notifications);
  await withTrials({ artifacts, lifetime }, async (trials) => {
    for (const manifest of builtInModels) {
      // The operator may have a model of that name and version: no reason not to serve the others.
      await importModel(manifest, { tenantId: null, database, trials, logger }).catch((err) => {
        if (lifetime.signal.aborted || !(err instanceof OperatorError)) throw err;
        logger.error({ err, manifest }, 'a built-in model could not be imported');
      });
    }
  });
  answerRollouts(notifications, registry, pool, logger);

  const health = new ModelHealth(logger, clock);
  const maxAdmitted = config.maxQueuedImages;
  const dispatcher = new Dispatcher(pool, clock, { maxAdmitted, hangMs, health, logger });
  const reader = new OutputReader(logger);
  lifetime.own({ name: 'reader of outputs', close: () => reader.close() });
  const cache = config.cacheBytes === 0 ? null : new ResultCache(config.cacheBytes);
  const inference = new InferenceService({
    selection: new RegistrySelection(registry),
    reader,
    ledger,
    dispatcher,
    health,
    concurrency,
    fetch,
    uploads,
    cache,
    cachedShare: config.cachedShare,
    clock,
  });

  // A model is read, optimised and run once before anybody waits for it, as long as there is room; the others are loaded when
  // they are asked for. One that cannot be is no reason not to serve others.
  const warmUp = async (models: readonly ServedModel[]) => {
    for (const model of models) {
      try {
        await pool.load(model.variants, { onlyIfRoom: true });
      } catch (err) {
        if (lifetime.signal.aborted) return;
        const { name, version } = model;
        // There may be room for the next.
        if (err instanceof OipError && err.status === NO_ROOM)
          logger.info(
            { model: `${name}@${version}`, reason: err.message },
            'a model waits for its first request to be loaded',
          );
        else logger.error({ err, model: name }, 'a model could not be loaded');
      }
    }
  };
  const warming = warmUp(await registry.livePublic());

  const metrics = createMetrics({ inference, dispatcher, pool, health, cache, tracer, limits });
  jobs?.registerMetrics(metrics);

  let isOpen = false;
  const server = await createGraphqlServer(
    {
      authenticator: tenancy.authenticator,
      apiKeys: tenancy.apiKeys,
      sessions: tenancy.sessions,
      clientTokens: tenancy.clientTokens,
      origins: tenancy.origins,
      ledger,
      usage: new UsageReader(database),
      usageExport: new UsageExport(database),
      invoices: new Invoices(database),
      models: registry,
      inference,
      uploads,
      rateLimiter,
    },
    {
      logger,
      tracer,
      metrics,
      introspection: config.introspection,
      trustProxy: config.trustProxy,
      publicUrl: config.publicUrl,
      ready: async () => {
        if (!isOpen) return 'it is starting: models are being loaded';
        if (!dispatcher.ready) return 'no inference worker is ready';
        if (limits.areShared === false && config.withoutRedis === 'refuse')
          return 'Redis does not answer, and without it nothing is admitted';
        return isAnswering(database);
      },
    },
  );
  lifetime.own({ name: 'server', close: () => server.close(GRACE_MS) });

  return {
    database,
    pool,
    async listen() {
      const baseUrl = await listen(server, config);
      // After all that may fail: what it creates is told this once.
      const created = await tenancy.firstBoot({
        tenantName: config.firstBoot.tenant,
        email: config.firstBoot.email,
        password: secrets.initPassword,
        apiKey: secrets.initApiKey,
      });
      await warming;
      isOpen = true;
      return { url: baseUrl, created };
    },
  };
}

/** Of a process that serves nobody, but does what is due (`FOVEA_ROLE=jobs`). */
export async function createJobsContext(
  config: Config,
  secrets: Secrets,
  surroundings: Pick<Surroundings, 'logger' | 'lifetime'>,
): Promise<Pick<Context, 'database' | 'listen'>> {
  const { lifetime } = surroundings;
  const database = await openMigratedDatabase(config, secrets, surroundings);
  const ledger = await openLedger(database, surroundings);
  const jobs = openJobs(database, ledger, surroundings);
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  jobs.registerMetrics(metrics);
  const server = createHealthServer({
    metrics,
    ready: async () => (jobs.areRunning ? isAnswering(database) : 'the queue of jobs does not run'),
  });
  lifetime.own({ name: 'server', close: () => server.close() });
  return {
    database,
    async listen() {
      const url = await listen(server, config);
      await jobs.started;
      return { url, created: null };
    },
  };
}

async function openMigratedDatabase(
  config: Config,
  secrets: Secrets,
  { logger, lifetime }: Pick<Surroundings, 'logger' | 'lifetime'>,
): Promise<Database> {
  const url = secrets.databaseUrl ?? (await embeddedUrl());
  await migrateInstallation(url, secrets.migrateUrl);
  const database = openDatabase(url);
  lifetime.own({ name: 'database', close: () => database.close() });
  return database;

  async function embeddedUrl(): Promise<string> {
    const { signal } = lifetime;
    const postgres = await startEmbeddedPostgres(config.dataDir, logger, { signal });
    lifetime.own({
      name: 'embedded PostgreSQL',
      close: () => postgres.stop(),
      killNow: () => postgres.killNow(),
    });
    return postgres.url;
  }
}

async function openLedger(
  database: Database,
  { logger, lifetime }: Pick<Surroundings, 'logger' | 'lifetime'>,
): Promise<Ledger> {
  const ledger = new Ledger(database.ledger, logger);
  lifetime.own({ name: 'ledger', close: () => ledger.close() });
  await ledger.makePartitions();
  return ledger;
}

function openJobs(
  database: Database,
  ledger: Ledger,
  { logger, lifetime }: Pick<Surroundings, 'logger' | 'lifetime'>,
): Jobs {
  const jobs = new Jobs({ database, ledger, logger });
  lifetime.own({ name: 'jobs', close: () => jobs.close() });
  return jobs;
}

function isAnswering(database: Database): Promise<true | string> {
  return database.app.query('SELECT 1').then(
    () => true,
    () => 'the database does not answer',
  );
}

async function listen(server: Pick<GraphqlServer, 'listen'>, { port, host }: Config): Promise<string> {
  const wanted = port ?? FIRST_PORT;
  const last = port === null ? FIRST_PORT + PORTS_TRIED - 1 : wanted;
  for (let candidate = wanted; candidate <= last; candidate++) {
    try {
      const listening = await server.listen(candidate, host);
      const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
      return `http://${name.includes(':') ? `[${name}]` : name}:${listening.port}`;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE') {
        throw new OperatorError(
          `Cannot listen on ${host}, port ${candidate}: ${message}. Check FOVEA_HOST and PORT.`,
        );
      }
    }
  }
  const found = port === null ? `ports ${FIRST_PORT} to ${last} are` : `port ${port} is`;
  throw new OperatorError(
    `Cannot listen on ${host}: ${found} taken. Set PORT to a free one, or to 0 for any.`,
  );
}
