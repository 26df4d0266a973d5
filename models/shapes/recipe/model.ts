import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type DecodedImage, decodeImage } from '../../../src/inference/images/decode.ts';
import { bytesOf } from '../../../src/inference/oip/elements.ts';
import {
  type Readings,
  type Results,
  readOutput,
  type ServedTask,
} from '../../../src/inference/tasks/read-output.ts';
import type { ManifestInput } from '../../../src/models/manifest.ts';
import { readManifest } from '../../../src/models/read-manifest.ts';

/** What a request says beside its pictures. */
export type Asked<T extends ServedTask> = Omit<Readings[T], 'labels' | 'original' | 'input' | 'output'>;

/** What the model says of each picture (a JPEG's bytes, a PNG's, …). */
export type Ask<T extends ServedTask> = (pictures: readonly Uint8Array[]) => Promise<Results[T][]>;

/**
 * Opens a model without a server around it, but with the server's own reading of manifests, pictures and outputs: what is
 * measured is what is served. Values are scaled here, on an NCHW tensor, as these models take them.
 */
export async function openModel<T extends ServedTask>(
  manifestPath: string,
  task: T,
  asked: Asked<T>,
): Promise<Ask<T>> {
  const { manifest, modelPath, labelsPath } = await readManifest(manifestPath);
  const { input, output } = manifest;
  const labels = (await readFile(labelsPath, 'utf8')).trimEnd().split('\n');
  const session = await InferenceSession.create(modelPath);
  const name = session.outputNames[0]!;

  return async (pictures) => {
    const decoded = await Promise.all(pictures.map((bytes) => decodeImage(bytes, input)));
    const pixels = new Tensor('float32', pixelValues(decoded, input), [
      pictures.length,
      3,
      input.height,
      input.width,
    ]);
    const { [name]: answered } = await session.run({ pixels });
    const values = answered!.data as Float32Array;
    const shape = answered!.dims.slice(1);
    const length = values.length / pictures.length;
    return decoded.map(({ width, height }, picture) => {
      const data = bytesOf(values.subarray(picture * length, (picture + 1) * length));
      const reading = {
        ...asked,
        labels,
        original: { width, height },
        input,
        output: { ...output, tensor: name },
      };
      // The manifest's task is the caller's: its output is what that task reads.
      return readOutput(task, [{ name, datatype: 'FP32', shape, data }], reading as unknown as Readings[T]);
    });
  };
}

function pixelValues(
  images: readonly DecodedImage[],
  { width, height, ...input }: ManifestInput,
): Float32Array {
  const mean = [input.mean].flat();
  const std = [input.std].flat();
  const plane = width * height;
  const values = new Float32Array(images.length * 3 * plane);
  for (const [image, { pixels }] of images.entries()) {
    for (let at = 0; at < plane * 3; at++) {
      const channel = at % 3;
      values[(image * 3 + channel) * plane + Math.floor(at / 3)] =
        (pixels[at]! * input.scale - mean[channel]!) / std[channel]!;
    }
  }
  return values;
}
