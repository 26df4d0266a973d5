import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** What TensorFlow says of itself, by `tensorflow-serving-like.py`. */
export interface ServingLike {
  readonly grpc: number;
  readonly rest: number;
  /** Keras' own answers to the pictures. */
  readonly predictions: number[][];
  close(): Promise<void>;
}

/**
 * @param pictures what the network is asked directly: floats `[N, height, width, 3]`
 * @param addModels puts more models into the folder that is served
 */
export async function startServingLike(
  python: string,
  pictures: { shape: readonly number[]; data: Float32Array },
  addModels: (folder: string) => Promise<unknown> = async () => {},
): Promise<ServingLike> {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-serving-'));
  await addModels(join(folder, 'models'));
  const file = join(folder, 'pictures.npy');
  writeFileSync(file, npy(pictures.shape, pictures.data));
  const program = resolve(import.meta.dirname, 'tensorflow-serving-like.py');
  const child = spawn(python, [program, join(folder, 'models'), file], { stdio: ['pipe', 'pipe', 'pipe'] });
  let told = '';
  child.stderr.on('data', (chunk: Buffer) => {
    told = (told + chunk).slice(-4_000);
  });
  const ended = new Promise<void>((settle) => child.once('close', () => settle()));
  const line = await Promise.race([
    new Promise<string>((settle) => createInterface(child.stdout).once('line', settle)),
    ended.then(() => Promise.reject(new Error(`${program} ended: ${told}`))),
  ]);
  return {
    ...JSON.parse(line),
    async close() {
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** NumPy's file of an array, version 1.0. */
function npy(shape: readonly number[], data: Float32Array): Buffer {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const padded = `${header.padEnd(128 - 10 - 1)}\n`;
  const length = Buffer.alloc(2);
  length.writeUInt16LE(padded.length);
  return Buffer.concat([
    Buffer.from('\x93NUMPY\x01\x00', 'latin1'),
    length,
    Buffer.from(padded),
    Buffer.from(data.buffer),
  ]);
}
