import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Logger } from '../../lib/logger.ts';
import {
  headerLengthField,
  jsonMessage,
  parseRequest,
  type WireMessage,
  writeResponse,
} from '../oip/codec.ts';
import { OipError } from '../oip/errors.ts';
import { isRecord } from '../oip/tensor-entries.ts';
import type { WorkerModels } from './models.ts';

/** What the server is told from outside while it runs. */
export interface ServerState {
  /** True once the worker takes no more work: it is not ready, and connections end with their answer. */
  draining: boolean;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
  body(): Promise<Buffer>;
}

/** The Open Inference Protocol v2 over HTTP, with the binary tensor and the model repository extensions. */
export function createWorkerServer(
  models: WorkerModels,
  state: ServerState,
  { maxBodyBytes }: { maxBodyBytes: number },
  logger: Logger,
): Server {
  const server = createServer(async (request, response) => {
    const hungUp = new AbortController();
    response.once('close', () => hungUp.abort(new Error('the client hung up')));
    const call: Call = {
      method: request.method ?? '',
      path: (request.url ?? '').split('?', 1)[0] as string,
      headers: request.headers,
      signal: hungUp.signal,
      body: () => readBody(request, maxBodyBytes),
    };
    try {
      send(response, 200, await answer(models, state, call), state.draining);
    } catch (error) {
      if (hungUp.signal.aborted) return;
      const status = error instanceof OipError ? error.status : 500;
      if (status >= 500) logger.error({ err: error, path: call.path }, 'request failed');
      // The rest of a body that was refused half-read would be taken for the next request: the connection ends.
      send(
        response,
        status,
        jsonMessage({ error: (error as Error).message }),
        state.draining || !request.complete,
      );
    }
  });
  // Longer than the client keeps an idle connection, so that it is the client that ends it and no request meets the end.
  server.keepAliveTimeout = 65_000;
  return server;
}

function send(
  response: ServerResponse,
  status: number,
  { headers, chunks }: WireMessage,
  last: boolean,
): void {
  response.writeHead(status, last ? { ...headers, connection: 'close' } : headers);
  response.cork();
  for (const chunk of chunks) response.write(chunk);
  response.end();
}

async function answer(models: WorkerModels, state: ServerState, call: Call): Promise<WireMessage> {
  const [root, area, ...rest] = segmentsOf(call.path);
  if (root === 'v2') {
    if (area === undefined) return on(call, 'GET', serverMetadata);
    if (area === 'health' && rest.length === 1) return on(call, 'GET', () => health(rest[0], state));
    if (area === 'models' && rest[0]) return answerModel(models, rest[0], withoutVersion(rest), call);
    if (area === 'repository') return answerRepository(models, rest, call);
  }
  throw unknownPath(call);
}

function serverMetadata(): WireMessage {
  return jsonMessage({ name: 'fovea', version: '2', extensions: ['binary_tensor_data', 'model_repository'] });
}

function health(kind: string | undefined, state: ServerState): WireMessage {
  if (kind === 'live') return jsonMessage({ live: true });
  if (kind !== 'ready') throw new OipError(404, `/v2/health/${kind}: expected live or ready`);
  if (state.draining) throw new OipError(503, 'the worker is ending');
  return jsonMessage({ ready: true });
}

async function answerModel(
  models: WorkerModels,
  name: string,
  action: string | undefined,
  call: Call,
): Promise<WireMessage> {
  switch (action) {
    case undefined:
      return on(call, 'GET', () => jsonMessage({ name, versions: ['1'], ...models.metadata(name) }));
    case 'ready':
      return on(call, 'GET', () => {
        if (models.has(name)) return jsonMessage({ name, ready: true });
        throw new OipError(404, `model '${name}' is not loaded`);
      });
    case 'infer':
      return on(call, 'POST', () => infer(models, name, call));
    default:
      throw unknownPath(call);
  }
}

async function infer(models: WorkerModels, name: string, call: Call): Promise<WireMessage> {
  const headerLength = call.headers[headerLengthField];
  const request = parseRequest(
    await call.body(),
    typeof headerLength === 'string' ? headerLength : undefined,
  );
  const { outputs, computeMs, device } = await models.infer(
    name,
    request.inputs,
    request.outputs,
    call.signal,
  );
  return writeResponse({
    model: name,
    id: request.id,
    parameters: { compute_ms: computeMs, device },
    outputs,
    binaryOutput: request.binaryOutput,
  });
}

async function answerRepository(
  models: WorkerModels,
  rest: readonly string[],
  call: Call,
): Promise<WireMessage> {
  const [area, name, action] = rest;
  if (area === 'index' && rest.length === 1) {
    return on(call, 'POST', async () => {
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
    });
  }
  if (area !== 'models' || !name || rest.length !== 3) throw unknownPath(call);
  if (action === 'load') return on(call, 'POST', () => load(models, name, call));
  if (action === 'unload') {
    return on(call, 'POST', async () => {
      await models.unload(name);
      return jsonMessage({});
    });
  }
  throw unknownPath(call);
}

/**
 * Parameters: `sha256` (the artefact), `external_data` (those of its weights that are files of their own, with commas
 * between), `format` (`onnx`), `warmup_batch` (the most images it must take at once, 1).
 */
async function load(models: WorkerModels, name: string, call: Call): Promise<WireMessage> {
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

async function on(
  call: Call,
  method: 'GET' | 'POST',
  handler: () => WireMessage | Promise<WireMessage>,
): Promise<WireMessage> {
  if (call.method !== method)
    throw new OipError(405, `${call.path}: expected ${method}, found ${call.method}`);
  return handler();
}

function unknownPath(call: Call): OipError {
  return new OipError(404, `${call.method} ${call.path.slice(0, 200)}: no such resource`);
}

/** What follows the model's name, its optional version skipped: a worker holds one version of a name, '1'. */
function withoutVersion([, ...rest]: readonly string[]): string | undefined {
  const versioned = rest[0] === 'versions';
  if (versioned && rest[1] !== '1') throw new OipError(404, `version '${rest[1]}': the only version is '1'`);
  const [action, ...more] = versioned ? rest.slice(2) : rest;
  return more.length === 0 ? action : more.join('/');
}

function segmentsOf(path: string): string[] {
  try {
    return path
      .replace(/^\/|\/$/g, '')
      .split('/')
      .map(decodeURIComponent);
  } catch (error) {
    throw new OipError(400, 'the path is not valid percent-encoding', { cause: error });
  }
}

async function readJson(call: Call): Promise<Record<string, unknown>> {
  const body = await call.body();
  if (body.byteLength === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new OipError(400, `the body is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (isRecord(value)) return value;
  throw new OipError(400, 'the body must be a JSON object');
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new OipError(413, `the body is larger than ${maxBytes} bytes`);
  if (Number(request.headers['content-length']) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  // Not destroyed when refused half-read: the refusal goes out on the same connection.
  const pieces: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of pieces) {
    length += chunk.byteLength;
    if (length > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}
