import type { ModelReference, OipClient } from '../oip/client.ts';
import { isNo, OipError } from '../oip/errors.ts';
import { MAX_TENSOR_BYTES } from '../oip/limits.ts';
import { isRecord } from '../oip/tensor-entries.ts';
import type { OpenVariant } from '../pool/model-server.ts';
import { scheduleParameters } from '../pool/schedule.ts';
import type { BatchNotes } from '../pool/worker.ts';
import type { Tensor } from '../tensor.ts';
import { nameElsewhere, type Variant } from '../variant.ts';
import { adapt } from './adapted-model.ts';
import type { DeclaredTensor } from './declared-model.ts';
import { type OipMetadata, parseMetadata } from './oip-metadata.ts';
import type { TensorThreads } from './tensor-threads.ts';

/**
 * Finds a variant under the name that others know it by on a server of the Open Inference Protocol v2 (Triton, KServe,
 * OpenVINO Model Server), and fits it to what that server declares.
 *
 * @throws OipError 404 where it is not there, 422 where what is there is not that model
 */
export async function openByName(
  client: OipClient,
  variant: Variant,
  { signal, threads }: { signal: AbortSignal; threads: TensorThreads },
): Promise<OpenVariant> {
  const { name, version } = nameElsewhere(variant);
  const { reference, inputs, outputs } = await find(client, { name, version }, signal);
  const model = {
    title: `'${name}' version ${version}`,
    declared: {
      ...{ inputs, outputs, maxBytes: MAX_TENSOR_BYTES },
      maxBatch: (await maxBatchOf(client, reference, signal)) || null,
    },
    isHeld: (until: AbortSignal) => client.modelReady(reference, until),
    async infer(
      input: Tensor,
      wanted: readonly DeclaredTensor[],
      until: AbortSignal,
      { trace = {}, schedule }: BatchNotes,
    ) {
      return client.infer(reference, [input], {
        ...{ outputs: wanted.map((output) => output.name), signal: until, trace },
        ...(schedule && { parameters: scheduleParameters(schedule) }),
      });
    },
  };
  return adapt(model, variant, threads);
}

/** Triton, where it is told to, holds of its repository what it is asked to load: then it is asked once. */
async function find(
  client: OipClient,
  model: { name: string; version: number },
  signal: AbortSignal,
): Promise<OipMetadata & { reference: ModelReference }> {
  try {
    return await look(client, model, signal);
  } catch (error) {
    if (!isNo(error) || !(await isLoaded(client, model.name, signal))) throw error;
    return look(client, model, signal);
  }
}

/**
 * Servers without versions refuse a path that has one in it (KServe's own 501, others 404 or 400), and list none. One that
 * lists others has another model.
 */
async function look(
  client: OipClient,
  model: { name: string; version: number },
  signal: AbortSignal,
): Promise<OipMetadata & { reference: ModelReference }> {
  try {
    return { ...parseMetadata(await client.metadata(model, signal)), reference: model };
  } catch (error) {
    if (!isNo(error)) throw error;
  }
  const { name, version } = model;
  const metadata = parseMetadata(await client.metadata(name, signal));
  if (metadata.versions !== null) {
    const found = metadata.versions.join(', ');
    throw new OipError(
      404,
      `the server has '${name}' in version ${found.slice(0, 100)}, and not in ${version}`,
    );
  }
  return { ...metadata, reference: name };
}

async function isLoaded(client: OipClient, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.load(name, {}, signal);
    return true;
  } catch (error) {
    if (isNo(error)) return false;
    throw error;
  }
}

/** What Triton would batch at most, which its metadata leaves out, 0: nothing; null: others have no such thing to ask for. */
export async function maxBatchOf(
  client: OipClient,
  model: ModelReference,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    const config = await client.config(model, signal);
    const most = isRecord(config) ? config.max_batch_size : undefined;
    return typeof most === 'number' && Number.isInteger(most) && most >= 0 ? most : null;
  } catch (error) {
    if (error instanceof OipError) return null;
    throw error;
  }
}
