import { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type { Tensor } from '../tensor.ts';
import {
  headerLengthField,
  type InferResponse,
  jsonMessage,
  type Parameters,
  parseResponse,
  type WireMessage,
  writeRequest,
} from './codec.ts';
import { OipError, WorkerLostError } from './errors.ts';
import { readAnswer } from './read-answer.ts';
import { isRecord } from './tensor-entries.ts';

/** Where a worker listens: a Unix socket, or an HTTP address such as `http://gpu-1:8000`. */
export type OipTarget = { readonly socketPath: string } | { readonly baseUrl: string };

export interface InferOptions {
  readonly signal?: AbortSignal;
  /** The outputs wanted; all where it is left out. */
  readonly outputs?: readonly string[];
}

/**
 * Speaks the Open Inference Protocol v2 to one server. Every call throws OipError for an answer that is an error,
 * WorkerLostError where no answer came, and the signal's reason once it is aborted. Nothing is retried.
 */
export class OipClient {
  readonly #pool: Pool;
  readonly #basePath: string;

  constructor(target: OipTarget) {
    const socketPath = 'socketPath' in target ? target.socketPath : undefined;
    const url = new URL('socketPath' in target ? 'http://worker' : target.baseUrl);
    this.#basePath = url.pathname.replace(/\/+$/, '');
    this.#pool = new Pool(url.origin, {
      ...(socketPath !== undefined && { socketPath }),
      connections: 16,
      // A worker is silent while it computes. How long that may take is the caller's signal to say.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  async serverReady(signal?: AbortSignal): Promise<boolean> {
    return (await this.whyServerNotReady(signal)) === null;
  }

  /** null: it is ready. */
  whyServerNotReady(signal?: AbortSignal): Promise<string | null> {
    return this.#whyNotReady('/v2/health/ready', signal);
  }

  async modelReady(name: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#whyNotReady(`/v2/models/${encodeURIComponent(name)}/ready`, signal)) === null;
  }

  async infer(model: string, inputs: readonly Tensor[], options: InferOptions = {}): Promise<InferResponse> {
    const path = `/v2/models/${encodeURIComponent(model)}/infer`;
    const { headers, body } = await this.#call('POST', path, writeRequest(inputs, options), options.signal);
    const headerLength = headers[headerLengthField];
    const answer = parseResponse(body, typeof headerLength === 'string' ? headerLength : undefined);
    return {
      ...answer,
      outputs: options.outputs?.map((name) => outputNamed(name, answer)) ?? answer.outputs,
    };
  }

  async load(name: string, parameters: Parameters, signal?: AbortSignal): Promise<void> {
    const path = `/v2/repository/models/${encodeURIComponent(name)}/load`;
    await this.#call('POST', path, jsonMessage({ parameters }), signal);
  }

  /** Ends every connection; calls in flight reject with WorkerLostError. */
  close(): Promise<void> {
    return this.#pool.destroy();
  }

  /** Servers differ on the body of a readiness answer: the status alone counts. */
  async #whyNotReady(path: string, signal?: AbortSignal): Promise<string | null> {
    try {
      await this.#call('GET', path, undefined, signal);
      return null;
    } catch (error) {
      if (error instanceof OipError || error instanceof WorkerLostError) return error.message;
      throw error;
    }
  }

  async #call(method: 'GET' | 'POST', path: string, message: WireMessage | undefined, signal?: AbortSignal) {
    let answer: { status: number; headers: Dispatcher.ResponseData['headers']; body: Buffer };
    try {
      const response = await this.#pool.request({
        method,
        path: this.#basePath + path,
        ...(message && {
          headers: message.headers,
          // A stream of the pieces: joining them would copy the pixels.
          body: Readable.from(message.chunks, { objectMode: false }),
        }),
        ...(signal && { signal }),
      });
      const body = await readAnswer(response);
      answer = { status: response.statusCode, headers: response.headers, body };
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof OipError) throw error;
      throw new WorkerLostError(`the worker did not answer ${method} ${path}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw new OipError(
      answer.status,
      errorText(answer.body) ?? `the worker answered ${answer.status} to ${path}`,
    );
  }
}

function outputNamed(name: string, { outputs }: InferResponse): Tensor {
  const output = outputs.find((each) => each.name === name);
  if (output) return output;
  const found = outputs.map((each) => `'${each.name}'`).join(', ') || 'none';
  throw new OipError(502, `the worker was asked for the output '${name}' and answered ${found}`);
}

function errorText(body: Buffer): string | null {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    return isRecord(answer) && typeof answer.error === 'string' ? answer.error : null;
  } catch {
    return null; // A proxy's page, or nothing at all: the status has to do.
  }
}
