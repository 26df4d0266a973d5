import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { parsePbtxt } from './pbtxt.ts';

/** A graph as such a server has it: its file, and what its configuration says of batches. */
export interface LikeModel {
  readonly file: string;
  readonly version: number;
  /** As Triton's `max_batch_size`; 0: the graph's own batch is all there is. */
  readonly maxBatch: number;
}

export interface LikeOptions {
  /** By name. */
  readonly models: Readonly<Record<string, LikeModel>>;
  /**
   * `triton`: versions, binary tensors, a configuration to be asked for · `kserve`: no versions (501), tensors in JSON alone,
   * one picture at a time.
   */
  readonly manner?: 'triton' | 'kserve';
  /** It holds none of its models before it is asked to load it, as Triton with `--model-control-mode=explicit`. */
  readonly isExplicit?: boolean;
  /** Of these models the answers to inferences are: half of what they should be, in bytes. */
  readonly spoiled?: readonly string[];
}

export interface TritonLike {
  readonly url: string;
  /** `POST /v2/models/shapes/versions/1/infer UINT8 [1,64,64,3] → 1 binary` for each inference, in turn. */
  readonly inferences: string[];
  /** The trace that each inference came with, where it came with one. */
  readonly traceparents: string[];
  close(): Promise<void>;
}

const types = {
  uint8: { name: 'UINT8', array: Uint8Array },
  float32: { name: 'FP32', array: Float32Array },
  int64: { name: 'INT64', array: BigInt64Array },
} as const;
type TypeName = keyof typeof types;

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The models of a Triton repository, as exported. */
export function modelsIn(repository: string): Record<string, LikeModel> {
  const entries = readdirSync(repository).map((name) => {
    const config = parsePbtxt(readFileSync(join(repository, name, 'config.pbtxt'), 'utf8'));
    const file = join(repository, name, '1/model.onnx');
    return [name, { file, version: 1, maxBatch: Number(config.max_batch_size![0]) }] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * A server of the Open Inference Protocol v2 that runs ONNX graphs, written from the protocol's text and Triton's manual: it
 * shares no code with what is tested.
 */
export async function startTritonLike({
  models,
  manner = 'triton',
  isExplicit = false,
  spoiled = [],
}: LikeOptions): Promise<TritonLike> {
  const sessions = new Map<string, InferenceSession>();
  for (const [name, { file }] of Object.entries(models))
    sessions.set(name, await InferenceSession.create(file, { logSeverityLevel: 3, intraOpNumThreads: 1 }));
  const inferences: string[] = [];
  const traceparents: string[] = [];
  const held = new Set(isExplicit ? [] : Object.keys(models));

  const answer = async (request: IncomingMessage, body: Buffer): Promise<[unknown, Buffer[]]> => {
    const path = request.url!;
    if (path === '/v2/health/ready' || path === '/v2/health/live')
      return [manner === 'triton' ? '' : { ready: true }, []];
    if (path === '/v2')
      return [
        { name: manner, version: '1', extensions: manner === 'triton' ? ['binary_tensor_data'] : [] },
        [],
      ];
    const toLoad = /^\/v2\/repository\/models\/([^/]+)\/load$/.exec(path)?.[1];
    if (toLoad !== undefined) {
      if (!isExplicit)
        throw new Refusal(
          manner === 'triton' ? 400 : 404,
          'explicit model load / unload is not allowed if polling is enabled',
        );
      const known = decodeURIComponent(toLoad);
      if (!(known in models))
        throw new Refusal(400, `failed to load '${known}', failed to poll from model repository`);
      held.add(known);
      return ['', []];
    }
    const match =
      /^\/v2\/models\/(?<name>[^/]+)(?:\/versions\/(?<version>\d+))?(?:\/(?<verb>ready|infer|config))?$/.exec(
        path,
      );
    const { name = '', version, verb } = match?.groups ?? {};
    if (manner === 'kserve' && version !== undefined)
      throw new Refusal(501, 'Model versioning not supported yet.');
    const model = models[decodeURIComponent(name)];
    const session = sessions.get(decodeURIComponent(name));
    if (
      !model ||
      !session ||
      !held.has(decodeURIComponent(name)) ||
      (version !== undefined && Number(version) !== model.version)
    )
      throw new Refusal(404, `Request for unknown model: '${name}' is not found`);
    if (verb === 'ready') return ['', []];
    if (verb === 'config' && manner === 'triton') return [{ name, max_batch_size: model.maxBatch }, []];
    if (verb === undefined) return [describe(name, model, session), []];
    if (verb === 'infer' && request.method === 'POST')
      return spoil(name, await infer(request, body, model, session));
    throw new Refusal(404, 'no such path');
  };

  /** A batch axis that is free is -1, or one picture where that is how it serves. */
  const shapeOf = (shape: readonly (number | string)[], { maxBatch }: LikeModel) =>
    shape.map((length, axis) => {
      if (typeof length === 'number') return length;
      return axis === 0 && (maxBatch === 1 || manner === 'kserve') ? 1 : -1;
    });

  const describe = (name: string, model: LikeModel, session: InferenceSession) => {
    const tensors = (all: InferenceSession['inputMetadata']) =>
      all.map((tensor) => {
        if (!tensor.isTensor) throw new Error(`${tensor.name} is no tensor`);
        const datatype = types[tensor.type as TypeName].name;
        return { name: tensor.name, datatype, shape: shapeOf(tensor.shape, model) };
      });
    return {
      ...{
        name,
        platform: 'onnxruntime_onnx',
        ...(manner === 'triton' && { versions: [String(model.version)] }),
      },
      ...{ inputs: tensors(session.inputMetadata), outputs: tensors(session.outputMetadata) },
    };
  };

  const infer = async (
    request: IncomingMessage,
    body: Buffer,
    model: LikeModel,
    session: InferenceSession,
  ): Promise<[unknown, Buffer[]]> => {
    const headerLength = Number(request.headers['inference-header-content-length'] ?? body.length);
    const question = JSON.parse(body.subarray(0, headerLength).toString());
    const [input] = question.inputs;
    const [type, { array }] = Object.entries(types).find(([, { name }]) => name === input.datatype) as [
      TypeName,
      (typeof types)[TypeName],
    ];
    const most = manner === 'kserve' ? 1 : model.maxBatch || Number.POSITIVE_INFINITY;
    if (input.shape[0] > most) throw new Refusal(400, `inference request batch-size must be <= ${most}`);
    const bytes = new Uint8Array(body.subarray(headerLength));
    if (bytes.length !== input.parameters.binary_data_size) throw new Refusal(400, 'unexpected bytes');
    const outputs = await session
      .run({ [input.name]: new Tensor(type, new array(bytes.buffer as never), input.shape) })
      .catch((error: Error) => {
        throw new Refusal(400, error.message);
      });
    const wanted: string[] =
      question.outputs?.map(({ name }: { name: string }) => name) ?? session.outputNames;
    const pieces: Buffer[] = [];
    const entries = wanted.map((name) => {
      const { dims: shape, data, type: found } = outputs[name]!;
      const entry = { name, datatype: types[found as TypeName].name, shape };
      // As Triton: what is asked for by name comes in JSON unless it is asked for otherwise by itself.
      const { parameters } =
        question.outputs?.find((each: { name: string }) => each.name === name) ?? question;
      const isBinary = parameters?.[question.outputs ? 'binary_data' : 'binary_data_output'] === true;
      if (manner === 'kserve' || !isBinary) return { ...entry, data: Array.from(data as Float32Array) };
      const { buffer, byteOffset, byteLength } = data as Float32Array;
      pieces.push(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength));
      return { ...entry, parameters: { binary_data_size: byteLength } };
    });
    traceparents.push(...[request.headers.traceparent ?? []].flat());
    const line = `${request.method} ${request.url} ${input.datatype} [${input.shape}]`;
    inferences.push(`${line} → ${pieces.length} binary`);
    return [{ model_name: 'any', model_version: '1', outputs: entries }, pieces];
  };

  const spoil = (name: string, [json, pieces]: [unknown, Buffer[]]): [unknown, Buffer[]] => [
    json,
    spoiled.includes(name) ? pieces.map((piece) => piece.subarray(piece.length / 2)) : pieces,
  ];

  const respond = (response: ServerResponse, json: unknown, pieces: Buffer[]) => {
    const head = Buffer.from(json === '' ? '' : JSON.stringify(json));
    if (pieces.length > 0) response.setHeader('Inference-Header-Content-Length', head.length);
    response.end(Buffer.concat([head, ...pieces]));
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      try {
        const [json, pieces] = await answer(request, Buffer.concat(chunks));
        respond(response, json, pieces);
      } catch (error) {
        response.statusCode = error instanceof Refusal ? error.status : 500;
        respond(response, { error: (error as Error).message }, []);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    inferences,
    traceparents,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      for (const session of sessions.values()) await session.release();
    },
  };
}
