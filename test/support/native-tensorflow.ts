import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * Whether a native TensorFlow is installed, as `npm run build:tensorflow` puts it there. Only its files are looked at: loaded,
 * it would compute for the whole process.
 */
export function hasNativeTensorFlow(): boolean {
  const { resolve } = createRequire(import.meta.url);
  return ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'].some((name) => {
    try {
      return existsSync(join(dirname(resolve(`${name}/package.json`)), 'lib/napi-v8/tfjs_binding.node'));
    } catch {
      return false; // not installed
    }
  });
}
