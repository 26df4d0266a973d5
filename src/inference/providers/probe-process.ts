/**
 * Runs the built-in classifier with one execution provider: `probe-process.ts <provider> <device id>`. The last line it
 * writes to standard output is JSON: how far from the CPU's its answer is on that device, or why there is none.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { listSupportedBackends } from 'onnxruntime-node';
import { bytesOf } from '../oip/elements.ts';
import type { Tensor, TensorMetadata } from '../tensor.ts';
import { distance } from '../worker/engines/onnx/distance.ts';
import { onnxEngine } from '../worker/engines/onnx.ts';
import { type Compute, deviceName, onCpu, type Provider } from './provider.ts';
import { showOneGpu } from './show-one-gpu.ts';

const artifact = readFileSync(new URL('../../../models/shapes/shapes.onnx', import.meta.url));
const { platform, arch } = process;
/** TF32 moves a score by a thousandth. */
const TOLERANCE = 0.01;

async function tryOut(provider: Provider, deviceId: number): Promise<number | string> {
  const compute = { providers: [provider], deviceId };
  showOneGpu(compute, process.env);
  // A name that this build does not know would silently become the CPU.
  const known = listSupportedBackends();
  const backend = known.find(({ name }) => name === provider);
  if (!backend) {
    const names = known.map(({ name }) => name).join(', ');
    return `onnxruntime-node for ${platform} on ${arch} has ${names} alone`;
  }
  const missing = backend.bundled ? [] : missingLibraries(provider);
  if (missing.length > 0) return `onnxruntime-node was installed without ${missing.join(' and ')}`;
  const [wanted] = await answer(onCpu);
  try {
    const [found, device] = await answer(compute);
    if (device !== deviceName(provider, deviceId)) return 'it takes no node of a convolutional network';
    const apart = distance(found, wanted);
    return apart <= TOLERANCE
      ? apart
      : `its answer is ${apart.toPrecision(2)} of the largest score off the CPU's`;
  } catch (error) {
    return withoutSource((error as Error).message);
  }
}

/** What the package's install script would have fetched. */
function missingLibraries(provider: Provider): string[] {
  const folder = join(
    createRequire(import.meta.url).resolve('onnxruntime-node/package.json'),
    `../bin/napi-v6/${platform}/${arch}`,
  );
  return ['shared', provider]
    .map((name) => `libonnxruntime_providers_${name}.so`)
    .filter((file) => !existsSync(join(folder, file)));
}

/** The scores for a picture, and what computed them. */
async function answer(compute: Compute): Promise<[Tensor, string]> {
  const model = await onnxEngine({ threads: 1, compute }).load(artifact, { folder: '.', hashes: [] });
  try {
    const [{ name, datatype, shape: declared }] = model.inputs as [TensorMetadata];
    const shape = declared.map((length) => Math.abs(length));
    const elements = shape.reduce((product, length) => product * length, 1);
    const data = bytesOf(Float32Array.from({ length: elements }, (_, index) => (index * 37) % 256));
    const [scores] = await model.run([{ name, datatype, shape, data }], [model.outputs[0]!.name]);
    return [scores!, model.device];
  } finally {
    await model.dispose();
  }
}

/** An error's message without the place in the runtime's own source. */
function withoutSource(message: string): string {
  return message
    .replace(/^\/onnxruntime_src\/.* was false\. /s, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '');
}

const [provider, id] = process.argv.slice(2) as [Provider, string];
process.stdout.write(`${JSON.stringify(await tryOut(provider, Number(id)))}\n`);
// The threads of the runtime and of the driver would keep it.
process.exit(0);
