import { elementCount, type Tensor } from '../tensor.ts';
import { OipError, WorkerFaultError } from './errors.ts';
import { excerpt } from './excerpt.ts';
import { jsonFromBytes } from './json-data.ts';
import { MAX_JSON_BYTES, MAX_JSON_ELEMENTS, MAX_TENSORS } from './limits.ts';
import { isRecord, parseTensors, readName } from './tensor-entries.ts';

/**
 * The messages of the Open Inference Protocol v2 over HTTP, with the binary tensor extension: a JSON header, then the raw
 * little-endian tensors in the header's order. `inference-header-content-length` tells where the header ends; without it
 * the whole body is JSON and tensors are `data` arrays.
 */
export const headerLengthField = 'inference-header-content-length';

export type Parameters = Readonly<Record<string, unknown>>;

/** A body in pieces, so that a batch's pixels go to the socket from where they lie. */
export interface WireMessage {
  readonly headers: Record<string, string>;
  readonly chunks: readonly Uint8Array[];
}

export interface InferRequest {
  readonly id: string | null;
  readonly parameters: Parameters;
  readonly inputs: Tensor[];
  /** The outputs asked for, or null: all. */
  readonly outputs: readonly string[] | null;
  /** Whether an output goes out as binary data. */
  readonly binaryOutput: (name: string) => boolean;
}

export interface InferResponse {
  readonly parameters: Parameters;
  readonly outputs: Tensor[];
}

export function writeRequest(
  inputs: readonly Tensor[],
  options: { parameters?: Parameters; outputs?: readonly string[] } = {},
): WireMessage {
  const header = {
    parameters: { ...options.parameters, binary_data_output: true },
    inputs: inputs.map(binaryEntry),
    // Triton goes by the request's wish only for outputs that are not asked for by name.
    ...(options.outputs && {
      outputs: options.outputs.map((name) => ({ name, parameters: { binary_data: true } })),
    }),
  };
  return binaryMessage(
    header,
    inputs.map((input) => input.data),
  );
}

/** Throws OipError 400 that names the tensor, what was expected and what was found. */
export function parseRequest(body: Uint8Array, headerLength: string | undefined): InferRequest {
  const { header, binary } = split(body, headerLength, 400, MAX_JSON_BYTES);
  const parameters = readParameters(header.parameters, 400);
  const inputs = parseTensors(header.inputs, 'input', binary, 400);
  const byDefault = readFlag(parameters, 'binary_data_output', 'parameters') ?? false;
  const { id = null } = header;
  if (id !== null && typeof id !== 'string') throw new OipError(400, 'id: expected a string');
  const outputs = readRequestedOutputs(header.outputs ?? []);
  return {
    id,
    parameters,
    inputs,
    outputs: outputs && [...outputs.keys()],
    binaryOutput: (name) => outputs?.get(name) ?? byDefault,
  };
}

/** Throws OipError 400 where an output has no JSON form, or one too large. */
export function writeResponse(response: {
  model: string;
  id: string | null;
  parameters: Parameters;
  outputs: readonly Tensor[];
  binaryOutput: (name: string) => boolean;
}): WireMessage {
  const { outputs, binaryOutput } = response;
  const inJson = outputs.filter(({ name }) => !binaryOutput(name));
  const elements = inJson.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (elements > MAX_JSON_ELEMENTS) {
    throw new OipError(
      400,
      `the outputs have ${elements} elements, at most ${MAX_JSON_ELEMENTS} are written as JSON: ask for binary data`,
    );
  }
  const header = {
    model_name: response.model,
    model_version: '1',
    ...(response.id !== null && { id: response.id }),
    parameters: response.parameters,
    outputs: outputs.map((output) => (binaryOutput(output.name) ? binaryEntry(output) : jsonEntry(output))),
  };
  const binary = outputs.filter((output) => binaryOutput(output.name)).map((output) => output.data);
  if (binary.length > 0) return binaryMessage(header, binary);
  return jsonMessage(header);
}

/** Throws WorkerFaultError: it is the worker that broke the protocol. */
export function parseResponse(body: Uint8Array, headerLength: string | undefined): InferResponse {
  try {
    const { header, binary } = split(body, headerLength, 502, MAX_JSON_BYTES);
    return {
      parameters: readParameters(header.parameters, 502),
      outputs: parseTensors(header.outputs, 'output', binary, 502),
    };
  } catch (error) {
    if (!(error instanceof OipError)) throw error;
    throw new WorkerFaultError('protocol', error.message, { cause: error });
  }
}

export function jsonMessage(value: unknown): WireMessage {
  const body = Buffer.from(JSON.stringify(value));
  return {
    headers: { 'content-type': 'application/json', 'content-length': String(body.byteLength) },
    chunks: [body],
  };
}

function binaryMessage(header: unknown, tensors: readonly Uint8Array[]): WireMessage {
  const json = JSON.stringify(header);
  // Spaces after the JSON let the first tensor begin on a multiple of 8: the reader then views floats instead of copying.
  const padding = (8 - (Buffer.byteLength(json) % 8)) % 8;
  const head = Buffer.from(json + ' '.repeat(padding));
  const length = tensors.reduce((sum, data) => sum + data.byteLength, head.byteLength);
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(length),
      [headerLengthField]: String(head.byteLength),
    },
    chunks: [head, ...tensors].filter((chunk) => chunk.byteLength > 0),
  };
}

function binaryEntry({ name, datatype, shape, data }: Tensor): object {
  return { name, datatype, shape, parameters: { binary_data_size: data.byteLength } };
}

function jsonEntry(tensor: Tensor): object {
  const { name, datatype, shape } = tensor;
  const data = jsonFromBytes(tensor, (reason) => new OipError(400, `output '${name}': ${reason}`));
  return { name, datatype, shape, data };
}

function split(body: Uint8Array, headerLength: string | undefined, status: number, mostJsonBytes: number) {
  if (body.byteLength === 0) throw new OipError(status, 'the body is empty: expected a JSON header');
  let length = body.byteLength;
  if (headerLength !== undefined) {
    length = /^\d{1,9}$/.test(headerLength) ? Number(headerLength) : Number.NaN;
    if (!(length <= body.byteLength)) {
      throw new OipError(
        status,
        `${headerLengthField}: expected 0..${body.byteLength}, the body's length, found ${headerLength.slice(0, 40)}`,
      );
    }
  }
  if (length > mostJsonBytes) {
    throw new OipError(
      status,
      `the JSON header has ${length} bytes, at most ${mostJsonBytes} are read: send tensors as binary data`,
    );
  }
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(body.buffer, body.byteOffset, length).toString('utf8'));
  } catch (error) {
    throw new OipError(status, `the JSON header cannot be parsed: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (!isRecord(header)) throw new OipError(status, 'the JSON header must be an object');
  return { header, binary: body.subarray(length) };
}

/** Some write null for none. */
function readParameters(value: unknown, status: number): Parameters {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw new OipError(status, 'parameters: expected an object');
  return value;
}

/** Output name → its own wish for binary data, or undefined where it has none; null: all outputs, as they come. */
function readRequestedOutputs(value: unknown): Map<string, boolean | undefined> | null {
  if (!Array.isArray(value)) throw new OipError(400, 'outputs: expected an array');
  if (value.length > MAX_TENSORS) {
    throw new OipError(400, `outputs: expected at most ${MAX_TENSORS}, found ${value.length}`);
  }
  if (value.length === 0) return null;
  return new Map(
    value.map((entry: unknown, index) => {
      if (!isRecord(entry)) throw new OipError(400, `output ${index}: expected an object`);
      const name = readName(entry.name, 'output', index, 400);
      const parameters = readParameters(entry.parameters, 400);
      for (const extension of ['classification', 'shared_memory_region']) {
        if (parameters[extension] === undefined) continue;
        throw new OipError(400, `output '${name}': ${extension} is of an extension that is not spoken here`);
      }
      return [name, readFlag(parameters, 'binary_data', `output '${name}'`)];
    }),
  );
}

function readFlag(parameters: Parameters, name: string, where: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw new OipError(400, `${where}: expected ${name} to be true or false, found ${excerpt(value)}`);
}
