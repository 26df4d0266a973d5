import { labels } from '../generator/classes.ts';
import { kinds } from '../generator/kinds.ts';

const pixels = {
  color: 'RGB',
  scale: 1 / 255,
  mean: [0.5, 0.5, 0.5],
  std: [0.25, 0.25, 0.25],
} as const;

/** The picture whole and in its own proportions, grey around it. */
export const letterbox = { width: 128, height: 128, fit: 'contain', align: 'center', pad: 114 } as const;

/** What is shipped: each in a folder of its name, with the manifest's fields that are its own. */
export const models = [
  {
    name: 'shapes',
    task: 'CLASSIFY',
    description:
      'Names the shape and the colour of the one coloured object in a picture: 6 shapes in 6 colours.',
    input: { layout: 'NCHW', width: 64, height: 64, fit: 'fill', ...pixels },
    output: { kind: 'logits' },
    labels,
  },
  {
    name: 'shapes-detect',
    task: 'DETECT',
    description:
      'Finds the coloured objects in a picture, and names their shape and colour: 6 shapes in 6 colours.',
    input: { layout: 'NCHW', ...letterbox, ...pixels },
    output: { kind: 'yolox', strides: [8, 16] },
    labels,
  },
  {
    name: 'shapes-segment',
    task: 'SEGMENT',
    description: 'Tells for each pixel of a picture which of 6 shapes it belongs to, if any.',
    input: { layout: 'NCHW', ...letterbox, ...pixels },
    output: { kind: 'mask-logits', layout: 'NCHW', background: 0 },
    labels: ['background', ...kinds],
  },
] as const;
