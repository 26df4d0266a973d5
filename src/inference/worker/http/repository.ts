import { jsonMessage } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import { isRecord } from '../../oip/tensor-entries.ts';
import { type Answer, type Call, readJson } from './call.ts';
import type { Served } from './served.ts';

export async function indexOf({ models }: Served, call: Call): Promise<Answer> {
  const onlyReady = (await readJson(call)).ready === true;
  const listed = models.list().filter(({ ready }) => ready || !onlyReady);
  return jsonMessage(
    listed.map(({ name, ready }) => ({
      name,
      version: '1',
      state: ready ? 'READY' : 'LOADING',
      reason: '',
    })),
  );
}

/**
 * Parameters: `sha256` (the artefact), `external_data` (those of its weights that are files of their own, with commas
 * between), `format` (`onnx`), `warmup_batch` (the most images it must take at once, 1).
 */
export async function load({ models }: Served, call: Call, [name = '']: readonly string[]): Promise<Answer> {
  if (name.length > 256) throw new OipError(400, 'a model name has at most 256 characters');
  const { parameters } = await readJson(call);
  const {
    sha256,
    external_data: weights = '',
    format = 'onnx',
    warmup_batch: maxBatch = 1,
  } = isRecord(parameters) ? parameters : {};
  if (typeof sha256 !== 'string') throw new OipError(400, `model '${name}': expected the parameter sha256`);
  if (typeof weights !== 'string') {
    throw new OipError(400, `model '${name}': expected external_data to be a string`);
  }
  if (typeof format !== 'string') throw new OipError(400, `model '${name}': expected format to be a string`);
  if (typeof maxBatch !== 'number' || !Number.isInteger(maxBatch) || maxBatch < 1 || maxBatch > 1024) {
    throw new OipError(400, `model '${name}': expected warmup_batch to be a whole number 1..1024`);
  }
  const externalData = weights === '' ? [] : weights.split(',');
  await models.load(name, { sha256, externalData, format, maxBatch });
  return jsonMessage({});
}

export async function unload(
  { models }: Served,
  _call: Call,
  [name = '']: readonly string[],
): Promise<Answer> {
  await models.unload(name);
  return jsonMessage({});
}
