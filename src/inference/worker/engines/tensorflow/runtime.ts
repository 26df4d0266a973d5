import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import tf from '@tensorflow/tfjs-core';
import { deviceName } from '../../../providers/provider.ts';
import type { ComputeSettings } from '../onnx/session.ts';

/** native: nothing but that, wasm: the same; auto: native where it is installed, else WebAssembly. */
export type TensorFlowChoice = 'auto' | 'native' | 'wasm';

/** The TensorFlow that computes on this thread. */
export interface TensorFlowRuntime {
  /** `cpu`, `cuda:0`, or `wasm`. */
  readonly device: string;
  /** What native TensorFlow alone can do; null on WebAssembly. */
  readonly native: NativeTensorFlow | null;
  /** Why it is not native TensorFlow, a line for each package that was looked for; empty where it is. */
  readonly obstacles: readonly string[];
}

/** What is used of `@tensorflow/tfjs-node` beyond the core; it need not be installed, so its own types are not there. */
export interface NativeTensorFlow {
  getMetaGraphsFromSavedModel(path: string): Promise<readonly MetaGraph[]>;
  loadSavedModel(path: string, tags: readonly string[], signature: string): Promise<SavedModel>;
}

export interface MetaGraph {
  readonly tags: readonly string[];
  readonly signatureDefs: Readonly<Record<string, SignatureDef>>;
}

export interface SignatureDef {
  readonly inputs: Readonly<Record<string, SignatureTensor>>;
  readonly outputs: Readonly<Record<string, SignatureTensor>>;
}

export interface SignatureTensor {
  readonly dtype: string;
  /** TensorFlow's own name, e.g. `DT_UINT8`, which `dtype` does not tell from `int32`. */
  readonly tfDtype: string;
  readonly shape: readonly { getSize(): number }[];
}

export interface SavedModel {
  predict(inputs: Record<string, tf.Tensor>): Record<string, tf.Tensor>;
  dispose(): void;
}

const require = createRequire(import.meta.url);

/** What puts native TensorFlow there. */
export const INSTALL_NATIVE =
  'run `npm run build:tensorflow`, or install @tensorflow/tfjs-node-gpu or @tensorflow/tfjs-node with its install script';

/**
 * The first that is installed of `@tensorflow/tfjs-node-gpu` and `@tensorflow/tfjs-node`, else WebAssembly, which comes with
 * Fovea. Once a process: TensorFlow.js keeps its backend in one place. Afterwards its core computes there.
 */
export async function startTensorFlow(
  choice: TensorFlowChoice,
  { threads, compute }: ComputeSettings,
): Promise<TensorFlowRuntime> {
  // Read when the library is loaded. It logs what it finds of the processor otherwise, on every start.
  process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // Else its first operation takes all of a GPU, from ONNX Runtime in this process and from every other.
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  // The binding calls what Node has given up since, and this thread runs nothing that could be mended.
  process.noDeprecation = true;
  const obstacles = choice === 'wasm' ? ['FOVEA_TENSORFLOW is wasm'] : [];
  for (const name of choice === 'wasm' ? [] : ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    const native = loadNative(name, obstacles);
    if (native === null) continue;
    // It warns on every run of a model with outputs of 64 bits.
    console.warn = () => {};
    await tf.ready();
    const { isUsingGpuDevice } = tf.backend() as tf.KernelBackend & { isUsingGpuDevice?: boolean };
    return { device: isUsingGpuDevice ? deviceName('cuda', compute.deviceId) : 'cpu', native, obstacles: [] };
  }
  if (choice === 'native')
    throw new Error(
      `FOVEA_TENSORFLOW is native, and there is none: ${INSTALL_NATIVE} (${obstacles.join('; ')})`,
    );
  const wasm = await import('@tensorflow/tfjs-backend-wasm');
  const entry = require.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  wasm.setWasmPaths(join(dirname(entry), 'dist/'));
  if (!(await tf.setBackend('wasm')))
    throw new Error('the WebAssembly backend of TensorFlow.js does not start');
  await tf.ready();
  return { device: 'wasm', native: null, obstacles };
}

/** null, with the reason noted down, where the package is not there or its library cannot be loaded. */
function loadNative(name: string, obstacles: string[]): NativeTensorFlow | null {
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    obstacles.push(`${name} is not installed`);
    return null;
  }
  try {
    // Tensors of another copy of the core are unknown to this one's backends.
    if (createRequire(entry).resolve('@tensorflow/tfjs-core') !== require.resolve('@tensorflow/tfjs-core'))
      throw new Error(`it brings a TensorFlow.js core of its own: install version ${tf.version_core}`);
    return (require(entry) as { node: NativeTensorFlow }).node;
  } catch (error) {
    obstacles.push(`${name}: ${(error as Error).message.split('\n', 1)[0]}`);
    return null;
  }
}
