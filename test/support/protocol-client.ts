import { type IncomingHttpHeaders, request } from 'node:http';

/** A tensor of a message: its elements in JSON, or its bytes beside it. */
export interface WireTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly data?: unknown;
  /** Little-endian, row-major. */
  readonly bytes?: Uint8Array;
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The outputs of a reply as they came, binary ones with their bytes. */
export interface InferReply {
  readonly status: number;
  readonly contentType: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: it is looked at, not typed.
  readonly header: any;
  readonly bytes: ReadonlyMap<string, Buffer>;
}

/**
 * A client of the Open Inference Protocol v2 with binary tensors, written from the specification: nothing of it is shared with
 * what it tests.
 */
export class ProtocolClient {
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  /** The status and the JSON of an answer that must be JSON; null where there is no body. */
  async json(method: 'GET' | 'POST', path: string, body?: unknown) {
    const reply = await this.#call(method, path, body === undefined ? '' : JSON.stringify(body));
    if (reply.body.length === 0) return { status: reply.status, body: null };
    requireType(reply, 'application/json');
    return { status: reply.status, body: JSON.parse(reply.body.toString('utf8')) };
  }

  /** Sends tensors that have `bytes` as binary data, the others in JSON. */
  async infer(
    path: string,
    message: { inputs: readonly WireTensor[]; id?: string; parameters?: object; outputs?: readonly object[] },
  ): Promise<InferReply> {
    const { inputs, ...rest } = message;
    const entries = inputs.map(({ bytes, ...entry }) =>
      bytes ? { ...entry, parameters: { binary_data_size: bytes.length } } : entry,
    );
    const header = Buffer.from(JSON.stringify({ ...rest, inputs: entries }), 'utf8');
    const binary = inputs.flatMap(({ bytes }) => (bytes ? [bytes] : []));
    const headers =
      binary.length === 0
        ? { 'Content-Type': 'application/json' }
        : { 'Content-Type': 'application/octet-stream', 'Inference-Header-Content-Length': header.length };
    return readReply(await this.#call('POST', path, Buffer.concat([header, ...binary]), headers));
  }

  #call(
    method: string,
    path: string,
    body: Buffer | string,
    headers: Record<string, string | number> = {},
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        new URL(path, this.#base),
        { method, headers: { 'Content-Length': Buffer.byteLength(body), ...headers } },
        (incoming) => {
          incoming.toArray().then((pieces) => {
            const whole = Buffer.concat(pieces);
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: whole });
          }, reject);
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }
}

function readReply(reply: Reply): InferReply {
  const length = reply.headers['inference-header-content-length'];
  const end = length === undefined ? reply.body.length : Number(length);
  requireType(reply, length === undefined ? 'application/json' : 'application/octet-stream');
  const header = JSON.parse(reply.body.subarray(0, end).toString('utf8'));
  const bytes = new Map<string, Buffer>();
  let offset = end;
  for (const { name, parameters } of header.outputs ?? []) {
    const size: unknown = parameters?.binary_data_size;
    if (typeof size !== 'number') continue;
    bytes.set(name, reply.body.subarray(offset, offset + size));
    offset += size;
  }
  if (offset !== reply.body.length)
    throw new Error(`${reply.body.length - offset} bytes belong to no output`);
  return { status: reply.status, contentType: reply.headers['content-type'], header, bytes };
}

function requireType({ headers }: Reply, type: string): void {
  if (headers['content-type'] !== type) throw new Error(`expected ${type}, found ${headers['content-type']}`);
}
