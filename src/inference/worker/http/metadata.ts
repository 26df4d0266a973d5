import { version } from '../../../lib/version.ts';
import { jsonMessage } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import type { Answer, Call } from './call.ts';
import { requireOwn, type Served } from './served.ts';

/** Those of Triton by its names, and our own. */
const extensions = [
  'binary_tensor_data',
  'model_repository',
  'schedule_policy',
  'statistics',
  'fovea_artifacts',
  'fovea_memory',
  'fovea_scheduling',
];
/** Of a worker before another server. */
const extensionsBefore = [
  'binary_tensor_data',
  'model_configuration',
  'schedule_policy',
  'statistics',
  'fovea_scheduling',
];

export function describeServer({ own }: Served): Answer {
  return jsonMessage({ name: 'fovea', version, extensions: own === null ? extensionsBefore : extensions });
}

export async function serverLive({ own }: Served): Promise<Answer> {
  await own?.models.requireReady();
  return jsonMessage({ live: true });
}

export async function serverReady(served: Served): Promise<Answer> {
  await served.models.requireReady();
  if (served.isDraining) throw new OipError(503, 'the worker is ending');
  return jsonMessage({ ready: true });
}

export async function describeModel(
  { models }: Served,
  _call: Call,
  [name = '', modelVersion]: readonly string[],
): Promise<Answer> {
  const key = await models.keyOf(name, modelVersion);
  return jsonMessage({ ...models.metadata(key), name });
}

/** What a batch may have at most, as Triton's model configuration tells it. */
export async function configOf(
  { models }: Served,
  _call: Call,
  [name = '', modelVersion]: readonly string[],
): Promise<Answer> {
  const config = models.config(await models.keyOf(name, modelVersion));
  if (config === null) throw new OipError(404, `model '${name}' has no configuration`);
  return jsonMessage({ ...config, name });
}

export async function modelReady(
  { models }: Served,
  _call: Call,
  [name = '', modelVersion]: readonly string[],
): Promise<Answer> {
  const key = await models.keyOf(name, modelVersion);
  if (await models.isReady(key)) return jsonMessage({ name, ready: true });
  throw new OipError(404, `model '${name}' is not loaded`);
}

/**
 * What of the memory is taken, by what: an extension of our own, `fovea_memory`. As with its health, whoever hears nothing
 * knows that the engine is busy, or hangs.
 */
export async function describeMemory(served: Served): Promise<Answer> {
  const { models } = requireOwn(served);
  await models.requireReady();
  const { budgetBytes, residentBytes, freeBytes, isExceeded, models: held } = models.memory();
  return jsonMessage({
    budget_bytes: budgetBytes,
    resident_bytes: residentBytes,
    free_bytes: freeBytes,
    exceeded: isExceeded,
    models: held,
  });
}

export async function metricsText({ metrics }: Served): Promise<Answer> {
  const body = Buffer.from(await metrics.metrics());
  return {
    headers: { 'content-type': metrics.contentType, 'content-length': String(body.byteLength) },
    chunks: [body],
  };
}
