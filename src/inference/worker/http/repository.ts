import { jsonMessage } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import { excerpt } from '../../oip/excerpt.ts';
import { isRecord } from '../../oip/tensor-entries.ts';
import type { ModelSource } from '../held-model.ts';
import { type Answer, type Call, readJson } from './call.ts';
import { requireOwn, type Served } from './served.ts';

/** Triton's model repository extension. Names that hold nothing any more are listed as well, with the reason. */
export async function indexOf(served: Served, call: Call): Promise<Answer> {
  const { models } = requireOwn(served);
  const { ready = false } = await readJson(call);
  if (typeof ready !== 'boolean')
    throw new OipError(400, `ready: expected true or false, found ${excerpt(ready)}`);
  const listed = models.list().filter(({ state }) => state === 'READY' || !ready);
  return jsonMessage(listed.map(({ name, state, reason }) => ({ name, version: '1', state, reason })));
}

/**
 * Parameters: `sha256` (the artefact), `external_data` (those of its weights that are files of their own, with commas
 * between), `format` (`onnx`), `warmup_batch` (the most images it must take at once, 1), `exact_batches` (whether each image
 * of a batch must be answered bit for bit as it is alone, where a CPU computes). They may also stand in the parameters of a
 * Triton model configuration, which is all that Triton's clients can send: `config`. Without any, the name holds again what
 * it held last. With `only_if_room` no other model is unloaded for it.
 *
 * The answer tells what the model takes of the memory, and the names of those that were unloaded for it.
 */
export async function load(served: Served, call: Call, [name = '']: readonly string[]): Promise<Answer> {
  const { models } = requireOwn(served);
  requireName(name);
  const { parameters = {} } = await readJson(call);
  if (!isRecord(parameters)) throw new OipError(400, `model '${name}': expected parameters to be an object`);
  const file = Object.keys(parameters).find((key) => key.startsWith('file:'));
  if (file !== undefined) {
    const place = '/v2/repository/artifacts/<sha256>';
    throw new OipError(400, `model '${name}': ${file.slice(0, 80)} is not taken, PUT the file to ${place}`);
  }
  const all = { ...fromConfig(name, parameters.config), ...parameters };
  const { only_if_room: onlyIfRoom = false } = all;
  if (typeof onlyIfRoom !== 'boolean')
    throw new OipError(400, `model '${name}': expected only_if_room to be true or false`);
  const source = all.sha256 === undefined ? null : sourceOf(name, all);
  const { bytes, unloaded } = await models.load(name, source, { onlyIfRoom });
  return jsonMessage({ memory_bytes: bytes, unloaded });
}

/** As Triton's, it is content where there is nothing to unload. */
export async function unload(served: Served, call: Call, [name = '']: readonly string[]): Promise<Answer> {
  const { models } = requireOwn(served);
  await readJson(call);
  await models.unload(name);
  return jsonMessage({});
}

function sourceOf(name: string, parameters: Record<string, unknown>): ModelSource {
  const { sha256, external_data: weights = '', format = 'onnx' } = parameters;
  const { warmup_batch: maxBatch = 1, exact_batches: exactBatches = false } = parameters;
  if (typeof sha256 !== 'string') throw new OipError(400, `model '${name}': expected sha256 to be a string`);
  if (typeof weights !== 'string') {
    throw new OipError(400, `model '${name}': expected external_data to be a string`);
  }
  if (typeof format !== 'string') throw new OipError(400, `model '${name}': expected format to be a string`);
  if (typeof maxBatch !== 'number' || !Number.isInteger(maxBatch) || maxBatch < 1 || maxBatch > 1024) {
    throw new OipError(400, `model '${name}': expected warmup_batch to be a whole number 1..1024`);
  }
  if (typeof exactBatches !== 'boolean')
    throw new OipError(400, `model '${name}': expected exact_batches to be true or false`);
  return { sha256, externalData: weights === '' ? [] : weights.split(','), format, maxBatch, exactBatches };
}

const readers: Record<string, (text: string) => unknown> = {
  warmup_batch: Number,
  exact_batches: (text) => ({ true: true, false: false })[text] ?? text,
};

/** `{"parameters": {"sha256": {"string_value": "…"}, …}}` as text; what else a configuration says has no meaning here. */
function fromConfig(name: string, config: unknown): Record<string, unknown> {
  if (config === undefined) return {};
  const refusal = (reason: string) => new OipError(400, `model '${name}': config: ${reason}`);
  if (typeof config !== 'string') throw refusal('expected a model configuration as JSON in a string');
  let value: unknown;
  try {
    value = JSON.parse(config);
  } catch (error) {
    throw refusal((error as Error).message);
  }
  const { parameters = {} } = isRecord(value) ? value : {};
  if (!isRecord(parameters)) throw refusal('expected its parameters to be an object');
  const found: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(parameters)) {
    const text = isRecord(entry) ? entry.string_value : undefined;
    if (typeof text !== 'string') throw refusal(`expected {"string_value": "…"} as ${key.slice(0, 80)}`);
    found[key] = readers[key]?.(text) ?? text;
  }
  return found;
}

function requireName(name: string): void {
  if (!/^[^\p{Cc}/]{1,256}$/u.test(name)) {
    throw new OipError(
      400,
      'a model name has 1..256 characters, none of them a slash or a control character',
    );
  }
  if (name === 'stats') throw new OipError(400, "the name 'stats' is that of the statistics: choose another");
}
