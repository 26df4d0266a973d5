import type { Readable } from 'node:stream';
import type { TraceHeaders } from '../../lib/tracing/span.ts';
import type { Tensor } from '../tensor.ts';
import { busyErrorFrom } from './busy.ts';
import {
  headerLengthField,
  type InferResponse,
  jsonMessage,
  type Parameters,
  parseResponse,
  writeRequest,
} from './codec.ts';
import { BusyError, isNo, OipError, WorkerFaultError, WorkerLostError } from './errors.ts';
import { errorText, HttpConnections, type HttpTarget } from './http.ts';
import { isRecord } from './tensor-entries.ts';
import { parseMemory, unloadedOf, type WorkerMemory } from './worker-memory.ts';

export interface InferOptions {
  readonly signal?: AbortSignal;
  /** The outputs wanted; all where it is left out. */
  readonly outputs?: readonly string[];
  /** Sent with the request. */
  readonly trace?: TraceHeaders;
  readonly parameters?: Parameters;
}

/** A model's name on the server, perhaps with a version of it. */
export type ModelReference = string | { readonly name: string; readonly version: number };

/** Of an answer that carries no tensors. */
const MAX_TEXT_BYTES = 2 ** 20;

/**
 * Speaks the Open Inference Protocol v2 to one server. Every call throws OipError for an answer that is an error,
 * WorkerFaultError for one that breaks the protocol, WorkerLostError where none came, and the signal's reason once it is
 * aborted. Nothing is retried.
 */
export class OipClient {
  readonly #http: HttpConnections;

  constructor(target: HttpTarget) {
    this.#http = new HttpConnections(target);
  }

  /** Throws where it does not take requests; servers differ on the body of a readiness answer, so the status alone counts. */
  async requireReady(signal?: AbortSignal): Promise<void> {
    await this.#get('/v2/health/ready', signal);
  }

  serverReady(signal?: AbortSignal): Promise<boolean> {
    return isYes(this.requireReady(signal));
  }

  modelReady(model: ModelReference, signal?: AbortSignal): Promise<boolean> {
    return isYes(this.#get(`${pathOf(model)}/ready`, signal));
  }

  /** What the server says of a model, as it came. */
  async metadata(model: ModelReference, signal?: AbortSignal): Promise<unknown> {
    return parseJson((await this.#get(pathOf(model), signal)).body);
  }

  /** How a model is configured, as it came: an extension of Triton's. */
  async config(model: ModelReference, signal?: AbortSignal): Promise<unknown> {
    return parseJson((await this.#get(`${pathOf(model)}/config`, signal)).body);
  }

  /** What the server says it can do beside the protocol, e.g. `binary_tensor_data`. */
  async extensions(signal?: AbortSignal): Promise<readonly string[]> {
    const { body } = await this.#get('/v2', signal);
    const metadata = parseJson(body);
    const listed: unknown = isRecord(metadata) ? metadata.extensions : undefined;
    return Array.isArray(listed) ? listed.filter((name) => typeof name === 'string') : [];
  }

  async infer(
    model: ModelReference,
    inputs: readonly Tensor[],
    options: InferOptions = {},
  ): Promise<InferResponse> {
    const path = `${pathOf(model)}/infer`;
    const message = writeRequest(inputs, options);
    Object.assign(message.headers, options.trace);
    const { headers, body } = await this.#http.send(path, message, options).catch(unlessBusy);
    const headerLength = headers[headerLengthField];
    const answer = parseResponse(body, typeof headerLength === 'string' ? headerLength : undefined);
    return {
      ...answer,
      outputs: options.outputs?.map((name) => outputNamed(name, answer)) ?? answer.outputs,
    };
  }

  /** Answers the names of models that the server unloaded for it, as far as it tells. */
  async load(name: string, parameters: Parameters, signal?: AbortSignal): Promise<readonly string[]> {
    const path = `/v2/repository/models/${encodeURIComponent(name)}/load`;
    const { body } = await this.#http.send(path, jsonMessage({ parameters }), {
      signal,
      maxBytes: MAX_TEXT_BYTES,
    });
    return unloadedOf(body);
  }

  /** Content where there is nothing to unload. */
  async unload(name: string, signal?: AbortSignal): Promise<void> {
    const path = `/v2/repository/models/${encodeURIComponent(name)}/unload`;
    await this.#http.send(path, jsonMessage({}), { signal, maxBytes: MAX_TEXT_BYTES });
  }

  /** What a worker's memory holds. An extension of our own, `fovea_memory`. */
  async memory(signal?: AbortSignal): Promise<WorkerMemory> {
    return parseMemory(parseJson((await this.#get('/v2/memory', signal)).body));
  }

  /** Whether the worker's store holds an artefact, whole. An extension of our own, `fovea_artifacts`, as is the next. */
  async hasArtifact(sha256: string, signal?: AbortSignal): Promise<boolean> {
    const path = `/v2/repository/artifacts/${sha256}`;
    const { status } = await this.#http.exchange({ method: 'HEAD', path, signal });
    // Where nothing is taken, the refusal of what is brought says why; this answer has no body.
    if (status === 200 || status === 404 || status === 403) return status === 200;
    throw new OipError(status, `the worker answered ${status} where it was asked for artefact ${sha256}`);
  }

  /**
   * Settles when the artefact is in the worker's store. `bytes`: of `content`. Throws OipError where the worker does not take it,
   * BusyError where it would at another time.
   */
  async putArtifact(sha256: string, content: Readable, bytes: number, signal?: AbortSignal): Promise<void> {
    const path = `/v2/repository/artifacts/${sha256}`;
    const headers = { 'content-type': 'application/octet-stream', 'content-length': String(bytes) };
    const request = {
      method: 'PUT',
      path,
      headers,
      body: content,
      signal,
      maxBytes: MAX_TEXT_BYTES,
    } as const;
    const { status, headers: answered, body } = await this.#http.exchange(request);
    if (status === 200) return;
    const message = errorText(body) ?? `the worker answered ${status} to artefact ${sha256}`;
    throw busyErrorFrom(status, answered, message) ?? new OipError(status, message);
  }

  /** Ends every connection; calls in flight reject with WorkerLostError. */
  close(): Promise<void> {
    return this.#http.close();
  }

  #get(path: string, signal: AbortSignal | undefined) {
    return this.#http.call({ method: 'GET', path, signal, maxBytes: MAX_TEXT_BYTES });
  }
}

function pathOf(model: ModelReference): string {
  if (typeof model === 'string') return `/v2/models/${encodeURIComponent(model)}`;
  return `${pathOf(model.name)}/versions/${model.version}`;
}

/** Statuses of a server, or of a proxy before it, that has no time or is not there: they say nothing of the model. */
const BUSY = [429, 502, 503, 504];

function unlessBusy(error: unknown): never {
  const isFull = error instanceof BusyError && error.reason === 'full';
  if (isFull || (isNo(error) && BUSY.includes(error.status)))
    throw new WorkerLostError(`the worker answered ${error.status}: ${error.message}`, {
      cause: error,
      isBusy: true,
    });
  throw error;
}

/** Whether a question was answered without an error; throws what is neither, such as the signal's reason. */
async function isYes(question: Promise<unknown>): Promise<boolean> {
  try {
    await question;
    return true;
  } catch (error) {
    if (error instanceof OipError || error instanceof WorkerLostError) return false;
    throw error;
  }
}

function outputNamed(name: string, { outputs }: InferResponse): Tensor {
  const output = outputs.find((each) => each.name === name);
  if (output) return output;
  const found = outputs.map((each) => `'${each.name}'`).join(', ') || 'none';
  throw new WorkerFaultError(
    'protocol',
    `the worker was asked for the output '${name}' and answered ${found.slice(0, 500)}`,
  );
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new WorkerFaultError('protocol', `the worker's answer is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
