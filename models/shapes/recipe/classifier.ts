import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import type { Picture } from './picture.ts';

/** What of the manifest this classifier needs; it knows `fit: fill`, RGB and NCHW alone. */
interface Manifest {
  readonly file: string;
  readonly input: {
    readonly width: number;
    readonly height: number;
    readonly scale: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
}

/** The column of the highest score for each picture. */
export type Classify = (pictures: readonly Picture[]) => Promise<number[]>;

/** Opens a model as its manifest describes it, without a server around it. */
export async function openClassifier(manifestPath: string): Promise<Classify> {
  const { file, input }: Manifest = JSON.parse(readFileSync(manifestPath, 'utf8'));
  const session = await InferenceSession.create(join(dirname(manifestPath), file));
  const { width, height } = input;
  const plane = width * height;

  return async (pictures) => {
    const values = new Float32Array(pictures.length * 3 * plane);
    await Promise.all(
      pictures.map(async ({ bytes }, picture) => {
        const pixels = await sharp(bytes)
          .resize(width, height, { fit: 'fill' })
          .removeAlpha()
          .raw()
          .toBuffer();
        for (let at = 0; at < plane * 3; at++) {
          const channel = at % 3;
          values[(picture * 3 + channel) * plane + Math.floor(at / 3)] =
            (pixels[at]! * input.scale - input.mean[channel]!) / input.std[channel]!;
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
