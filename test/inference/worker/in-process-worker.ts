import { type IncomingHttpHeaders, request } from 'node:http';
import { onTestFinished, vi } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import { bytesOf } from '../../../src/inference/oip/elements.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import { runWorker, type WorkerOptions } from '../../../src/inference/worker/worker.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';

/** A worker on a free port with an empty artefact folder, ended after the test. */
export async function startWorker(
  options: Partial<WorkerOptions> = {},
  overrides: Parameters<typeof runWorker>[2] = {},
) {
  const artifacts = artifactFolder();
  const worker = await runWorker(
    { listen: '127.0.0.1:0', artifacts: artifacts.dir, threads: 1, ...options },
    createLogger('silent'),
    overrides,
  );
  const [, socketPath] = /^unix:(.*)$/.exec(worker.address) ?? [];
  const client = new OipClient(socketPath === undefined ? { baseUrl: worker.address } : { socketPath });
  onTestFinished(async () => {
    await client.close();
    await worker.close();
  });
  return { worker, artifacts, client };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One HTTP request without any of our own protocol code. */
export function http(
  base: string,
  method: string,
  path: string,
  body: Buffer | string = '',
  headers: Record<string, string | number> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(base + path, { method, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
      );
      incoming.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export function json(answer: Answer) {
  return { status: answer.status, body: JSON.parse(answer.body.toString()) };
}

/** One image and how long to work on it, for `slowModel(2)`: about 1 µs a round. */
export function slowInputs(rounds: number): Tensor[] {
  return [
    { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data: new Uint8Array(12).fill(4) },
    { name: 'rounds', datatype: 'INT64', shape: [1], data: bytesOf(BigInt64Array.of(BigInt(rounds))) },
  ];
}

/** Waits until so many requests of all models wait for their turn. */
export async function untilPending(base: string, count: number): Promise<void> {
  await vi.waitFor(
    async () => {
      const { body } = await http(base, 'GET', '/metrics');
      const values = body.toString().matchAll(/^nv_inference_pending_request_count\{.*\} (\d+)$/gm);
      const pending = Array.from(values, ([, value]) => Number(value)).reduce((sum, each) => sum + each, 0);
      if (pending !== count) throw new Error(`${pending} requests wait, not ${count}`);
    },
    { timeout: 20_000, interval: 5 },
  );
}
