import { version } from '../../../lib/version.ts';
import { jsonMessage } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import type { Answer, Call } from './call.ts';
import { requireOnlyVersion, type Served } from './served.ts';

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

export function describeServer(): Answer {
  return jsonMessage({ name: 'fovea', version, extensions });
}

export function serverReady({ isDraining }: Served): Answer {
  if (isDraining) throw new OipError(503, 'the worker is ending');
  return jsonMessage({ ready: true });
}

export function describeModel(
  { models }: Served,
  _call: Call,
  [name = '', modelVersion]: readonly string[],
): Answer {
  requireOnlyVersion(modelVersion);
  return jsonMessage({ name, versions: ['1'], ...models.metadata(name) });
}

export function modelReady(
  { models }: Served,
  _call: Call,
  [name = '', modelVersion]: readonly string[],
): Answer {
  requireOnlyVersion(modelVersion);
  if (models.has(name)) return jsonMessage({ name, ready: true });
  throw new OipError(404, `model '${name}' is not loaded`);
}

/** What of the memory is taken, by what: an extension of our own, `fovea_memory`. */
export function describeMemory({ models }: Served): Answer {
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
