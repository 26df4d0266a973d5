import tf from '@tensorflow/tfjs-core';
import { foldScaling, lumaWeights, type Preprocessing } from '../../../preprocessing.ts';
import type { RawModel } from './raw-model.ts';

/**
 * What a model is fed, made of `uint8 [N, height, width, 3]` RGB pixels where the model computes.
 * @returns `[N, C, height, width]` or `[N, height, width, C]`, for the caller to dispose
 */
export function preparePixels(
  pixels: Uint8Array,
  batch: number,
  preprocessing: Preprocessing,
  { takesBytes }: RawModel['input'],
): tf.Tensor {
  const { width, height, color, layout } = preprocessing;
  return tf.tidy(() => {
    let x: tf.Tensor = tf.tensor(Float32Array.from(pixels), [batch, height, width, 3]);
    if (color === 'GRAY') {
      const luma = tf.matMul(tf.reshape(x, [-1, 3]), tf.tensor2d([...lumaWeights], [3, 1]));
      x = tf.reshape(luma, [batch, height, width, 1]);
    }
    if (color === 'BGR') x = tf.reverse(x, 3);
    if (!takesBytes) {
      const { factors, offsets } = foldScaling(preprocessing);
      if (factors.some((factor) => factor !== 1)) x = tf.mul(x, tf.tensor1d(factors));
      if (offsets.some((offset) => offset !== 0)) x = tf.add(x, tf.tensor1d(offsets));
    }
    if (layout === 'NCHW') x = tf.transpose(x, [0, 3, 1, 2]);
    return takesBytes ? tf.cast(tf.round(x), 'int32') : x;
  });
}
