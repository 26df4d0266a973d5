import { join } from 'node:path';
import { decodeRle } from '../../../src/inference/tasks/segment/rle.ts';
import { classOf, labels } from '../generator/classes.ts';
import { kinds } from '../generator/kinds.ts';
import type { Scene } from '../generator/scene.ts';
import { averagePrecisions, type Placed, type Scored } from './average-precision.ts';
import { type Confusion, noConfusion } from './confusion.ts';
import { type Asked, openModel } from './model.ts';
import { crowdedPicture, picture } from './picture.ts';
import type { SeedRange } from './seeds.ts';

/** Told how many scenes are done. */
export type Progress = (done: number) => void;

/** A shipped model's manifest. */
export function manifestOf(model: string): string {
  return join(import.meta.dirname, '../..', model, 'manifest.json');
}

/** The classifier's answers to pictures of one object, by class. */
export async function evaluateClassifier(range: SeedRange, progress?: Progress): Promise<Confusion> {
  const classify = await openModel(manifestOf('shapes'), 'CLASSIFY', { topK: 1, minScore: 0 });
  const confusion = noConfusion(labels.length);
  await each(range, picture, progress, async (pictures) => {
    const answers = await classify(pictures.map(({ bytes }) => bytes));
    for (const [index, answer] of answers.entries()) {
      confusion.counts[pictures[index]!.column * labels.length + answer.labels[0]!.index]!++;
    }
  });
  return confusion;
}

/** As a client would ask, but for the score: average precision counts what is answered at any. */
const anyScore: Asked<'DETECT'> = { minScore: 0.01, iouThreshold: 0.45, maxDetections: 100 };

/** The detector's average precision at IoU 0.5 on pictures of one to five objects, by class. */
export async function evaluateDetector(range: SeedRange, progress?: Progress): Promise<Map<number, number>> {
  const detect = await openModel(manifestOf('shapes-detect'), 'DETECT', anyScore);
  const objects: Placed[] = [];
  const answers: Scored[] = [];
  let at = 0;
  await each(range, crowdedPicture, progress, async (pictures) => {
    const detections = await detect(pictures.map(({ bytes }) => bytes));
    for (const [index, { scene }] of pictures.entries()) {
      for (const object of scene.objects)
        objects.push({ picture: at, index: classOf(object), box: object.box });
      for (const answer of detections[index]!.objects) answers.push({ picture: at, ...answer });
      at++;
    }
  });
  return averagePrecisions(answers, objects);
}

/** How the segmenter takes the pixels of pictures of one to five objects: 0 is the background, 1 + n the nth kind. */
export async function evaluateSegmenter(range: SeedRange, progress?: Progress): Promise<Confusion> {
  const segment = await openModel(manifestOf('shapes-segment'), 'SEGMENT', { minScore: 0 });
  const confusion = noConfusion(1 + kinds.length);
  await each(range, crowdedPicture, progress, async (pictures) => {
    const answers = await segment(pictures.map(({ bytes }) => bytes));
    for (const [index, { scene }] of pictures.entries()) {
      const answered = new Uint8Array(scene.width * scene.height);
      for (const { index: channel, rle } of answers[index]!.segments) paint(answered, channel, rle, scene);
      for (const [pixel, truth] of channelsOf(scene).entries()) {
        confusion.counts[truth * confusion.classes + answered[pixel]!]!++;
      }
    }
  });
  return confusion;
}

/** Runs of zeros and ones in turn, down the columns. */
function paint(channels: Uint8Array, channel: number, rle: string, size: Scene): void {
  let position = 0;
  for (const [run, length] of decodeRle(rle, size).entries()) {
    const end = position + length;
    for (; position < end; position++) {
      if (run % 2 === 1)
        channels[(position % size.height) * size.width + Math.floor(position / size.height)] = channel;
    }
  }
}

function channelsOf({ width, height, objects }: Scene): Uint8Array {
  const channels = new Uint8Array(width * height);
  for (const { kind, mask } of objects) {
    for (const [pixel, visible] of mask.entries())
      if (visible === 1) channels[pixel] = 1 + kinds.indexOf(kind);
  }
  return channels;
}

const atOnce = 32;

async function each<T>(
  { from, count }: SeedRange,
  draw: (seed: number) => Promise<T>,
  progress: Progress | undefined,
  judge: (pictures: readonly T[]) => Promise<void>,
): Promise<void> {
  for (let done = 0; done < count; done += atOnce) {
    const length = Math.min(atOnce, count - done);
    await judge(await Promise.all(Array.from({ length }, (_, index) => draw(from + done + index))));
    progress?.(done + length);
  }
}
