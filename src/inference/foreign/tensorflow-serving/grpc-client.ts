import { isIPv6 } from 'node:net';
import {
  create,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { anyIs } from '@bufbuild/protobuf/wkt';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { OipError, WorkerFaultError, WorkerLostError } from '../../oip/errors.ts';
import { certificateAuthorities, type RemoteTarget } from '../../oip/http.ts';
import { MAX_ANSWER_BYTES } from '../../oip/limits.ts';
import type { Tensor } from '../../tensor.ts';
import type { TensorThreads } from '../tensor-threads.ts';
import {
  ModelService,
  ModelVersionStatus_State,
  PredictionService,
  SignatureDefMapSchema,
} from './generated/serving_pb.ts';
import type { TensorInfo } from './generated/tensorflow_pb.ts';
import { read, specOf, writeQuestion } from './predict-messages.ts';
import {
  MAX_DESCRIPTION_BYTES,
  NOBODY,
  type Question,
  type ServedVersion,
  type ServingClient,
  type Signature,
} from './serving-client.ts';
import { declaredOf } from './tensors.ts';

/** The HTTP status that a refusal goes by. Of what is not here the model gave no answer: it may be asked of another server. */
const refusals = new Map<status, number>([
  [status.INVALID_ARGUMENT, 400],
  [status.FAILED_PRECONDITION, 400],
  [status.OUT_OF_RANGE, 400],
  [status.NOT_FOUND, 404],
  [status.UNIMPLEMENTED, 501],
  [status.UNKNOWN, 502],
  [status.INTERNAL, 502],
  [status.DATA_LOSS, 502],
]);

const TOO_LARGE = /^Received message larger than max /;

export class GrpcServingClient implements ServingClient {
  /** A message is copied twice on its way, and 39 MB hold up the event loop for 66 ms; this for some 15. */
  readonly maxBytes = 16 * 2 ** 20;
  readonly #client: Client;
  readonly #threads: TensorThreads;
  /** Ends calls in flight, which the library's client leaves alone. */
  readonly #closing = new AbortController();

  constructor({ baseUrl, address }: RemoteTarget, threads: TensorThreads) {
    this.#threads = threads;
    const { protocol, host, hostname, port } = new URL(baseUrl);
    const tls = protocol === 'https:';
    // A certificate names an IPv6 address without the URL's brackets.
    const certified = hostname.replace(/^\[|\]$/g, '');
    const place = address === undefined ? hostname : isIPv6(address) ? `[${address}]` : address;
    const authorities = tls ? Buffer.from(certificateAuthorities().join('\n')) : null;
    const secured = tls ? credentials.createSsl(authorities) : credentials.createInsecure();
    this.#client = new Client(`${place}:${port || (tls ? 443 : 80)}`, secured, {
      'grpc.default_authority': host,
      ...(tls && { 'grpc.ssl_target_name_override': certified }),
      'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
      // Other calls here go where they are sent, whatever the environment says of proxies.
      'grpc.enable_http_proxy': 0,
      // Whoever is asked every second whether he is back must not wait for two minutes to be tried again.
      'grpc.max_reconnect_backoff_ms': 5_000,
    });
  }

  async requireReady(signal: AbortSignal): Promise<void> {
    try {
      await this.#call(ModelService.method.getModelStatus, { modelSpec: { name: NOBODY } }, signal);
    } catch (error) {
      if (!(error instanceof OipError && error.status === 404)) throw error;
    }
  }

  async isAvailable(model: ServedVersion, signal: AbortSignal): Promise<boolean> {
    const request = { modelSpec: specOf(model) };
    const { modelVersionStatus } = await this.#call(ModelService.method.getModelStatus, request, signal);
    return modelVersionStatus.some(({ state }) => state === ModelVersionStatus_State.AVAILABLE);
  }

  async signatures(model: ServedVersion, signal: AbortSignal): Promise<ReadonlyMap<string, Signature>> {
    const field = 'signature_def';
    const request = { modelSpec: specOf(model), metadataField: [field] };
    const { metadata } = await this.#call(PredictionService.method.getModelMetadata, request, signal);
    const packed = metadata[field];
    if (packed === undefined || !anyIs(packed, SignatureDefMapSchema)) {
      throw new WorkerFaultError(
        'protocol',
        `the server was asked for the metadata '${field}' and answered none`,
      );
    }
    const map = read(SignatureDefMapSchema, packed.value);
    return new Map(
      Object.entries(map.signatureDef).map(([name, { inputs, outputs }]) => [
        name,
        { inputs: declaredIn(inputs), outputs: declaredIn(outputs) },
      ]),
    );
  }

  async predict(model: ServedVersion, question: Question, signal: AbortSignal): Promise<Tensor[]> {
    const { predict } = PredictionService.method;
    const answer = await this.#send(predict, writeQuestion(model, question), signal);
    return this.#threads.readPrediction(answer, question.outputs, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort(new WorkerLostError('the connections to the server were closed'));
    this.#client.close();
  }

  async #call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M['input']>,
    signal: AbortSignal,
  ): Promise<MessageShape<M['output']>> {
    const bytes = Buffer.from(toBinary(method.input, create(method.input, request)));
    const answer = await this.#send(method, bytes, signal);
    if (answer.byteLength <= MAX_DESCRIPTION_BYTES) return read(method.output as M['output'], answer);
    throw new WorkerFaultError(
      'too-large',
      `the server's answer to ${method.name} is larger than ${MAX_DESCRIPTION_BYTES} bytes`,
    );
  }

  /** Messages as bytes: the large ones are read in a thread. */
  async #send(method: DescMethodUnary, request: Buffer, asked: AbortSignal): Promise<Buffer> {
    const signal = AbortSignal.any([asked, this.#closing.signal]);
    signal.throwIfAborted();
    const path = `/${method.parent.typeName}/${method.name}`;
    let abort = () => {};
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        const call = this.#client.makeUnaryRequest(
          path,
          asTheyAre,
          asTheyAre,
          request,
          new Metadata(),
          {},
          (error, answer) => (error ? reject(error) : resolve(answer!)),
        );
        abort = () => call.cancel();
        signal.addEventListener('abort', abort);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw failureOf(error as ServiceError);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}

function asTheyAre(bytes: Buffer): Buffer {
  return bytes;
}

function declaredIn(tensors: Record<string, TensorInfo>) {
  return Object.entries(tensors).map(([name, info]) => declaredOf(name, info));
}

function failureOf(error: ServiceError): Error {
  const { code, details } = error;
  // What the library adds of its own differs each time, which would be logged as news.
  const told = details.replace(/ \(\d{4}-[\d:.TZ-]+\)/g, '').replace(/\.? Resolution note: $/, '');
  const reason = told || status[code];
  const cause = { cause: error };
  if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED)
    return new WorkerFaultError('unauthorized', `the server does not take calls from here: ${reason}`, cause);
  // Of the library here, by the code that a server has for its memory.
  if (TOO_LARGE.test(details)) return new WorkerFaultError('too-large', reason, cause);
  const refusal = refusals.get(code);
  if (refusal !== undefined) return new OipError(refusal, reason, cause);
  return new WorkerLostError(`the server did not answer: ${reason}`, cause);
}
