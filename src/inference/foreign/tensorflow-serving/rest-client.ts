import { OipError, WorkerFaultError, WorkerLostError } from '../../oip/errors.ts';
import { errorText, HttpConnections, type RemoteTarget } from '../../oip/http.ts';
import { MAX_BODY_BYTES } from '../../oip/limits.ts';
import { isRecord } from '../../oip/tensor-entries.ts';
import type { Tensor } from '../../tensor.ts';
import type { DeclaredTensor } from '../declared-model.ts';
import type { TensorThreads } from '../tensor-threads.ts';
import {
  MAX_DESCRIPTION_BYTES,
  NOBODY,
  type Question,
  type ServedVersion,
  type ServingClient,
  type Signature,
} from './serving-client.ts';
import { nameOfType } from './tensors.ts';

/** By JSON, number for number: some five times the bytes of gRPC, for networks that let nothing else through. */
export class RestServingClient implements ServingClient {
  /** A float becomes some 20 characters. */
  readonly maxBytes = MAX_BODY_BYTES / 5;
  readonly #http: HttpConnections;
  readonly #threads: TensorThreads;

  constructor(target: RemoteTarget, threads: TensorThreads) {
    this.#http = new HttpConnections(target);
    this.#threads = threads;
  }

  async requireReady(signal: AbortSignal): Promise<void> {
    const path = `/v1/models/${NOBODY}`;
    const request = { method: 'GET', path, signal, maxBytes: MAX_DESCRIPTION_BYTES } as const;
    const { status, body } = await this.#http.exchange(request);
    // Any server has nothing at some paths; this one says so in its own form.
    if (status === 404 && errorText(body) !== null) return;
    // Told as of any call.
    await this.#get(path, signal);
  }

  async isAvailable(model: ServedVersion, signal: AbortSignal): Promise<boolean> {
    const { model_version_status: versions } = await this.#get(pathOf(model), signal);
    return Array.isArray(versions) && versions.some((each) => isRecord(each) && each.state === 'AVAILABLE');
  }

  async signatures(model: ServedVersion, signal: AbortSignal): Promise<ReadonlyMap<string, Signature>> {
    const { metadata } = await this.#get(`${pathOf(model)}/metadata`, signal);
    // As the message in the message of that name.
    const outer = isRecord(metadata) && isRecord(metadata.signature_def) ? metadata.signature_def : {};
    if (!isRecord(outer.signature_def))
      throw new WorkerFaultError('protocol', "the server's metadata has no signature_def");
    return new Map(
      Object.entries(outer.signature_def).map(([name, signature]) => {
        const { inputs, outputs } = isRecord(signature) ? signature : {};
        return [name, { inputs: declaredIn(inputs), outputs: declaredIn(outputs) }];
      }),
    );
  }

  async predict(model: ServedVersion, question: Question, signal: AbortSignal): Promise<Tensor[]> {
    const { signature, input, outputs } = question;
    if (input.datatype === 'FP16')
      throw new OipError(501, 'FP16 has no JSON form: reach this server by gRPC');
    const body = await this.#threads.writeInstances(signature, input, signal);
    const headers = { 'content-type': 'application/json', 'content-length': String(body.byteLength) };
    const message = { headers, chunks: [body] };
    const answer = await answered(this.#http.send(`${pathOf(model)}:predict`, message, { signal }));
    return this.#threads.readPredictions(answer.body, outputs, signal);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  async #get(path: string, signal: AbortSignal): Promise<Record<string, unknown>> {
    const request = { method: 'GET', path, signal, maxBytes: MAX_DESCRIPTION_BYTES } as const;
    const { body } = await answered(this.#http.call(request));
    try {
      const answer: unknown = JSON.parse(body.toString('utf8'));
      if (isRecord(answer)) return answer;
    } catch {
      // Told below, as what is JSON and no object.
    }
    throw new WorkerFaultError('protocol', `the server's answer to ${path} is no JSON object`);
  }
}

function pathOf({ name, version }: ServedVersion): string {
  return `/v1/models/${encodeURIComponent(name)}/versions/${version}`;
}

function declaredIn(tensors: unknown): DeclaredTensor[] {
  return Object.entries(isRecord(tensors) ? tensors : {}).map(([name, info]) => {
    const { dtype, tensor_shape: shape } = isRecord(info) ? info : {};
    const { dim = [], unknown_rank: unknown } = isRecord(shape) ? shape : { unknown_rank: true };
    const lengths = Array.isArray(dim)
      ? dim.map((each) => Number(isRecord(each) ? each.size : Number.NaN))
      : [];
    return { name, datatype: nameOfType(String(dtype)), shape: unknown === true ? null : lengths };
  });
}

/** Where it is overloaded or on its way, it says so by a status; gRPC calls both unavailable. */
async function answered<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof OipError && (error.status === 503 || error.status === 504))
      throw new WorkerLostError(`the server did not answer: ${error.message}`, { cause: error });
    throw error;
  }
}
