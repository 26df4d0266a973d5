/** What the way from a client's bytes to an answer needs to know of a stored artefact. Made by `src/models`. */

import type { Preprocessing } from './preprocessing.ts';

export type Task = 'CLASSIFY' | 'DETECT' | 'SEGMENT';

/** A stored variant's compression. Callers may also ask for `AUTO`, which is resolved to one of these. */
export type Compression = 'NONE' | 'FLOAT16' | 'INT8' | 'PRUNED';

/** What an artefact is written in, which decides the engine that runs it. */
export const modelFormats = ['onnx', 'saved-model', 'tfjs-graph', 'tfjs-layers'] as const;
export type ModelFormat = (typeof modelFormats)[number];

/** How a picture of any size becomes the model's `height × width × 3` bytes. */
export interface InputGeometry {
  readonly width: number;
  readonly height: number;
  /** cover: resize the short side to `resizeShort`, crop the centre · contain: letterbox · fill: stretch. */
  readonly fit: 'cover' | 'contain' | 'fill';
  /** `cover` alone: pixels of the short side before the crop; null: the crop's own size. */
  readonly resizeShort: number | null;
  /** `contain` alone: where the picture lies in its letterbox. */
  readonly align: 'center' | 'top-left';
  /** `contain` alone: the grey level around the picture, 0..255. */
  readonly pad: number;
}

/** How a model's output tensors are read; names are the stored graph's. Every tensor has a batch axis. */
export type VariantOutput = ClassifyOutput | DetectOutput | SegmentOutput;

/** `[N, C]` or `[N, C, 1, 1]`, one score a class. */
export interface ClassifyOutput {
  readonly kind: 'logits' | 'probabilities';
  readonly tensor: string;
  /** The column that is no answer, or null. */
  readonly background: number | null;
}

/** Boxes come in pixels of the model's input unless `normalized` says shares of it. What each head is: `tasks/detect/`. */
export type DetectOutput =
  | {
      readonly kind: 'yolov5';
      readonly tensor: string;
      readonly strides: readonly number[];
      /** One list a stride: width and height of each anchor in turn, pixels. null: the graph decodes its boxes and scores itself. */
      readonly anchors: readonly (readonly number[])[] | null;
    }
  | { readonly kind: 'yolov8'; readonly tensor: string; readonly strides: readonly number[] }
  | { readonly kind: 'yolox'; readonly tensor: string; readonly strides: readonly number[] }
  | {
      readonly kind: 'nanodet';
      readonly tensor: string;
      readonly strides: readonly number[];
      /** The greatest distance of an edge from the centre, in strides. */
      readonly regMax: number;
    }
  | {
      readonly kind: 'boxes-scores';
      readonly boxes: string;
      readonly scores: string;
      readonly format: 'xyxy' | 'cxcywh';
      readonly normalized: boolean;
      readonly background: number | null;
    }
  | {
      readonly kind: 'ssd';
      readonly boxes: string;
      readonly scores: string;
      readonly classes: string;
      readonly count: string;
      readonly format: 'yxyx' | 'xyxy';
      readonly normalized: boolean;
    }
  | {
      readonly kind: 'detections';
      readonly tensor: string;
      /** What each column holds, by the names in `tasks/detect/detections.ts`. */
      readonly columns: readonly string[];
      readonly normalized: boolean;
    };

export type SegmentOutput =
  | {
      readonly kind: 'mask-logits' | 'mask-probabilities';
      readonly tensor: string;
      readonly layout: 'NCHW' | 'NHWC';
      /** The channel that is no segment; always null where there is one channel alone. */
      readonly background: number | null;
    }
  /** `[N, h, w]` or `[N, 1, h, w]`, a class index a pixel. */
  | { readonly kind: 'labels'; readonly tensor: string; readonly background: number | null };

/** The graph's tensors that a variant is read by, in a fixed order. */
export function outputTensors(output: VariantOutput): readonly string[] {
  switch (output.kind) {
    case 'boxes-scores':
      return [output.boxes, output.scores];
    case 'ssd':
      return [output.boxes, output.scores, output.classes, output.count];
    default:
      return [output.tensor];
  }
}

/**
 * What servers that others run know a variant by: its public name, or one made of the key of a tenant's own. No compression
 * is called so, which keeps the two kinds apart.
 */
export function nameElsewhere({ publicName, key }: Variant): {
  readonly name: string;
  readonly version: number;
} {
  return publicName ?? { name: `own~${key}`, version: 1 };
}

export interface Variant {
  /** The name it goes by in a worker; names the artefact and how it is fed, so two that differ never share it. */
  readonly key: string;
  /** What operators know it by: `shapes@1`, `shapes@1~int8`. */
  readonly title: string;
  readonly task: Task;
  readonly compression: Compression;
  readonly format: ModelFormat;
  /** The name that servers of others know it by; null: a tenant's own, and others may have models of that name. */
  readonly publicName: { readonly name: string; readonly version: number } | null;
  /** What the stored graph does to pixels before anything else; null: stored before this was noted down. */
  readonly preprocessing: Preprocessing | null;
  /** The stored graph: takes `uint8 [N, height, width, 3]` RGB pixels, colour order and scaling inside. */
  readonly artifactSha256: string;
  /** SHA-256 of each file of weights that the graph points to, by which it names them; empty where it holds them all. */
  readonly externalData: readonly string[];
  readonly input: InputGeometry & { readonly tensor: string };
  readonly output: VariantOutput;
  /** One a graph column; the background column's entry, where there is one, is never answered. */
  readonly labels: readonly string[];
  /** Images the graph takes at once; 1 where its batch is fixed. */
  readonly maxBatch: number;
  /** How long a batch that is not full may wait for more images, milliseconds; 0: it does not. */
  readonly maxQueueDelayMs: number;
  readonly unitsPerImage: number;
}
