import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { onTestFinished } from 'vitest';

/** What it answers in the place of a real worker's answer to an inference. */
export type Mischief =
  | 'another shape'
  | 'another type'
  | 'no numbers'
  | 'an endless body'
  | 'a body that never comes'
  | 'a redirect'
  | 'no JSON'
  | 'an error';

/** Stands in front of a real worker and hands everything on, unless it is told to do mischief; ended after the test. */
export class SpoiltWorker {
  readonly address: string;
  mischief: Mischief | null = null;
  /** Answers that were spoilt. */
  spoilt = 0;

  private constructor(address: string) {
    this.address = address;
  }

  static async before(
    realAddress: string,
    atEnd: (clean: () => void) => void = onTestFinished,
  ): Promise<SpoiltWorker> {
    const server = createServer((request, response) => {
      // Whoever asked may be gone before it has sent all.
      worker.#answer(realAddress, request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const worker = new SpoiltWorker(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    return worker;
  }

  async #answer(realAddress: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isInference = request.url?.endsWith('/infer') ?? false;
    const { mischief } = this;
    if (!isInference || mischief === null) return handOn(realAddress, request, response);
    const body = Buffer.concat(await request.toArray());
    this.spoilt += 1;
    switch (mischief) {
      case 'a redirect':
        response.writeHead(307, { location: 'http://elsewhere.example/take?token=secret' }).end();
        return;
      case 'no JSON':
        response.end('<html>It works!</html>');
        return;
      case 'an error':
        response.writeHead(500).end(JSON.stringify({ error: 'the model failed' }));
        return;
      case 'a body that never comes':
        response.writeHead(200, { 'content-length': 100 }).flushHeaders();
        return;
      case 'an endless body':
        pourInto(response);
        return;
      default:
        answerWith(response, spoiltTensor(mischief, requestOf(request, body)));
    }
  }
}

interface Asked {
  readonly inputs: { readonly shape: number[] }[];
  readonly outputs: { readonly name: string }[];
}

function requestOf({ headers }: IncomingMessage, body: Buffer): Asked {
  const length = Number(headers['inference-header-content-length']);
  return JSON.parse(body.subarray(0, length).toString()) as Asked;
}

/** Of the built-in classifier. */
const labels = 36;

function spoiltTensor(mischief: Mischief, { inputs, outputs }: Asked) {
  const images = inputs[0]!.shape[0]!;
  const classes = mischief === 'another shape' ? labels + 1 : labels;
  const datatype = mischief === 'another type' ? 'FP64' : 'FP32';
  const data = Buffer.alloc(
    images * classes * (datatype === 'FP64' ? 8 : 4),
    mischief === 'no numbers' ? 0xff : 0,
  );
  return { name: outputs[0]!.name, datatype, shape: [images, classes], data };
}

function answerWith(response: ServerResponse, { data, ...tensor }: ReturnType<typeof spoiltTensor>): void {
  const outputs = [{ ...tensor, parameters: { binary_data_size: data.byteLength } }];
  const header = Buffer.from(JSON.stringify({ model_name: 'spoilt', outputs }));
  response.writeHead(200, { 'inference-header-content-length': header.byteLength });
  response.end(Buffer.concat([header, data]));
}

function pourInto(response: ServerResponse): void {
  const piece = Buffer.alloc(2 ** 20);
  const pour = () => {
    while (!response.destroyed && response.write(piece));
  };
  response.on('drain', pour);
  pour();
}

function handOn(address: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers, url } = request;
  const real = ask(address + url, { method: method!, headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers);
    // Where the real worker goes away in the middle of it, so does this.
    pipeline(answer, response, () => {});
  });
  real.on('error', () => response.destroy());
  response.on('close', () => real.destroy());
  request.pipe(real);
}
