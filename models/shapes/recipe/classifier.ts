import { InferenceSession, Tensor } from 'onnxruntime-node';
import { decodeImage } from '../../../src/inference/images/decode.ts';
import { readManifest } from '../../../src/models/read-manifest.ts';
import type { Picture } from './picture.ts';

/** The column of the highest score for each picture. */
export type Classify = (pictures: readonly Picture[]) => Promise<number[]>;

/**
 * Opens the model without a server around it, but with the server's own reading of manifests and pictures: what is
 * measured is what is served. Values are scaled here, on an NCHW tensor, as this model takes them.
 */
export async function openClassifier(manifestPath: string): Promise<Classify> {
  const { manifest, modelPath } = await readManifest(manifestPath);
  const session = await InferenceSession.create(modelPath);
  const { width, height, scale } = manifest.input;
  const mean = [manifest.input.mean].flat();
  const std = [manifest.input.std].flat();
  const plane = width * height;

  return async (pictures) => {
    const values = new Float32Array(pictures.length * 3 * plane);
    await Promise.all(
      pictures.map(async ({ bytes }, picture) => {
        const { pixels } = await decodeImage(bytes, manifest.input);
        for (let at = 0; at < plane * 3; at++) {
          const channel = at % 3;
          values[(picture * 3 + channel) * plane + Math.floor(at / 3)] =
            (pixels[at]! * scale - mean[channel]!) / std[channel]!;
        }
      }),
    );
    const pixels = new Tensor('float32', values, [pictures.length, 3, height, width]);
    const { logits } = await session.run({ pixels });
    const scores = logits!.data as Float32Array;
    const columns = scores.length / pictures.length;
    return pictures.map((_, picture) => {
      const row = scores.subarray(picture * columns, (picture + 1) * columns);
      return row.indexOf(Math.max(...row));
    });
  };
}
