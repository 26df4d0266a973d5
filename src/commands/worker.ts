import { availableParallelism } from 'node:os';
import { readEnvironment } from '../config/environment.ts';
import { placeOn } from '../inference/providers/place-workers.ts';
import { showOneGpu } from '../inference/providers/show-one-gpu.ts';
import { endProcess, untilStopped } from '../inference/worker/lifetime.ts';
import type { UpstreamOptions } from '../inference/worker/upstream/upstream-models.ts';
import { runWorker } from '../inference/worker/worker.ts';
import { OperatorError } from '../lib/errors.ts';
import { createLogger } from '../lib/logger.ts';
import { openTracer } from '../lib/tracing/tracer.ts';
import { parseWorkerAddress } from '../lib/worker-address.ts';
import { type OutputOptions, print } from './output.ts';

export async function worker(
  options: OutputOptions & {
    listen: string;
    artifacts?: string;
    threads?: string;
    memory?: string;
    upstream?: string;
    maxBatch: string;
    concurrency: string;
    providers?: string;
    device: string;
    tlsCert?: string;
    tlsKey?: string;
    exitWithParent?: boolean;
  },
): Promise<void> {
  const threads = options.threads === undefined ? availableParallelism() : Number(options.threads);
  if (!Number.isInteger(threads) || threads < 1) {
    throw new OperatorError(`--threads: found ${options.threads}, wanted a number of threads from 1.`, 2);
  }
  if (!/^\d{1,3}$/.test(options.device)) {
    throw new OperatorError(`--device: found ${options.device}, wanted the number of a GPU, from 0.`, 2);
  }
  const deviceId = Number(options.device);
  const { config, secrets } = readEnvironment({
    ...process.env,
    ...(options.providers !== undefined && { FOVEA_PROVIDERS: options.providers }),
    ...(options.memory !== undefined && { FOVEA_WORKER_MEMORY: options.memory }),
  });
  const upstream = upstreamOf(options, secrets.upstreamToken);
  const tls = await tlsOf(options);
  const logger = createLogger(config.logLevel);
  // A parent that keeps it running has tried them itself.
  const compute =
    options.exitWithParent || upstream
      ? { providers: config.providers, deviceId }
      : await placeOn(deviceId, config.providers);
  showOneGpu(compute, process.env);
  const artifacts = options.artifacts ?? config.artifactsDir;
  const token = secrets.workerToken;
  const { tensorFlow, workerMemory } = config;
  const tracer = await openTracer(config.tracing, { service: 'fovea-worker', logger });
  const running = await runWorker(
    {
      ...{ listen: options.listen, artifacts, threads, compute, tensorFlow, token, tls, tracer, upstream },
      ...(workerMemory !== null && { memoryBytes: workerMemory }),
    },
    logger,
  );
  print(options, `fovea worker ready ${running.address}`, { event: 'ready', address: running.address });
  await untilStopped(running, { exitWithParent: options.exitWithParent ?? false }, logger);
  await tracer.close();
  endProcess(running, 0);
}

function upstreamOf(
  { upstream, maxBatch, concurrency }: { upstream?: string; maxBatch: string; concurrency: string },
  token: string | null,
): UpstreamOptions | null {
  if (upstream === undefined) return null;
  const found = parseWorkerAddress(upstream.replace(/\/+$/, ''));
  if (found?.protocol !== 'oip' || found.everyAddress)
    throw new OperatorError(
      `--upstream: found ${upstream}, wanted http://host:port or https://host:port.`,
      2,
    );
  return {
    ...{ baseUrl: found.url, token, tokenSetting: 'FOVEA_UPSTREAM_TOKEN' },
    maxBatch: whole('--max-batch', maxBatch, 1_024),
    concurrency: whole('--concurrency', concurrency, 64),
  };
}

function whole(option: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new OperatorError(`${option}: found ${text}, wanted a whole number 1..${most}.`, 2);
}

async function tlsOf({ listen, tlsCert, tlsKey }: { listen: string; tlsCert?: string; tlsKey?: string }) {
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new OperatorError('--tls-cert and --tls-key: one needs the other.', 2);
  }
  if (listen.startsWith('unix:'))
    throw new OperatorError('--tls-cert: a Unix socket is private as it is.', 2);
  const { readTls } = await import('../inference/worker/tls.ts');
  return readTls(tlsCert, tlsKey);
}
