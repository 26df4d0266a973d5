import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/inference/tensor.ts';
import type { Fault } from '../../src/models/manifest-error.ts';
import {
  anchors,
  boxesScores,
  detections,
  fitted,
  row,
  rows,
  ssd,
  ssdOutputs,
  strides,
  tensor,
} from './shown-answers.ts';

describe('a head that does not fit says what it needs and what it found', () => {
  const grid = tensor('t', [1, 40, 7], rows(7, -1, 0.5));
  const odd = [tensor('t', [1, 85, 4, 4]), tensor('u', [1, 3, 2, 2], () => 1, 'INT64')];
  const found = "'t' FLOAT [1,85,4,4], 'u' INT64 [1,3,2,2]";
  it.each<[string, unknown, Tensor[], Partial<Fault>]>([
    ['logits', { kind: 'logits' }, odd, { path: 'output', found, wanted: '[N,C], one score a class' }],
    [
      'yolov5',
      { kind: 'yolov5', strides },
      odd,
      { found, wanted: '[N,k·40,5+C] as "yolov5" has it for strides 8,16 at 64×32' },
    ],
    [
      'yolov5 raw',
      { kind: 'yolov5', strides, anchors },
      odd,
      { found, wanted: '[N,72,5+C] as "yolov5" has it for strides 8,16 at 64×32' },
    ],
    [
      'yolov8',
      { kind: 'yolov8', strides },
      odd,
      { found, wanted: '[N,4+C,40] or [N,40,4+C] as "yolov8" has it for strides 8,16 at 64×32' },
    ],
    [
      'yolox',
      { kind: 'yolox', strides },
      odd,
      { found, wanted: '[N,40,5+C] as "yolox" has it for strides 8,16 at 64×32' },
    ],
    [
      'nanodet',
      { kind: 'nanodet', strides, regMax: 7 },
      odd,
      { found, wanted: '[N,40,C+32] as "nanodet" has it for strides 8,16 at 64×32' },
    ],
    ['detections', detections, odd, { found, wanted: '[N,M,6], as output.columns names 6 columns' }],
    ['labels', { kind: 'labels' }, odd, { found, wanted: '[N,h,w] or [N,1,h,w], a class a pixel' }],
    [
      'a mask',
      { kind: 'mask-logits' },
      [odd[1]!],
      { found: "'u' INT64 [1,3,2,2]", wanted: '[N,C,h,w], a score a class and pixel' },
    ],
    [
      'a name that no output has',
      { kind: 'yolox', strides, tensor: 'x' },
      [grid],
      { path: 'output.tensor', found: '"x"', wanted: "one of the graph's outputs: 't' FLOAT [1,40,7]" },
    ],
    [
      'two outputs that could be meant',
      { kind: 'yolox', strides },
      [grid, { ...grid, name: 'u' }],
      { path: 'output.tensor', found: 'nothing' },
    ],
    [
      'labels of another number',
      { kind: 'yolox', strides },
      [tensor('t', [1, 40, 9], rows(9, -1, 0.5))],
      { path: 'labels', found: '2 lines', wanted: '4, one a class of the graph' },
    ],
    [
      'scores for other boxes',
      boxesScores,
      [tensor('b', [1, 9, 4]), tensor('s', [1, 8, 2])],
      { wanted: "'s' as scores [N,9,C], a row for each box" },
    ],
    [
      'the other layout of a mask',
      { kind: 'mask-logits', layout: 'NHWC' },
      [tensor('t', [1, 2, 4, 8], (i) => 9 * i)],
      { path: 'output.layout', wanted: '"NCHW", as there are 2 labels' },
    ],
  ])('%s', (_, output, outputs, fault) => {
    expect(fitted(output, outputs).faults).toContainEqual(expect.objectContaining(fault));
  });
});

describe('numbers that the kind cannot have are refused with the kind that can, where there is one', () => {
  it.each<[string, unknown, Tensor[], Partial<Fault>]>([
    ['logits that sum to 1', { kind: 'logits' }, [tensor('t', [1, 2])], { wanted: '"probabilities"' }],
    [
      'probabilities beyond 1',
      { kind: 'probabilities' },
      [tensor('t', [1, 2], (i) => 9 * i)],
      { wanted: 'scores from 0 to 1, or "logits"' },
    ],
    [
      'yolov5 raw, and no anchors',
      { kind: 'yolov5', strides },
      [tensor('t', [1, 120, 7], rows(7, 1, -3))],
      { path: 'output.kind', wanted: expect.stringContaining('output.anchors') as never },
    ],
    [
      'yolov5 boxes in shares',
      { kind: 'yolov5', strides },
      [tensor('t', [1, 120, 7])],
      { wanted: "boxes in pixels of the model's input" },
    ],
    [
      'yolov8 before the sigmoid',
      { kind: 'yolov8', strides },
      [tensor('t', [1, 6, 40], (i) => (i < 160 ? 30 : -3))],
      { wanted: 'scores from 0 to 1: a graph with the sigmoid inside' },
    ],
    [
      'yolox decoded',
      { kind: 'yolox', strides },
      [tensor('t', [1, 40, 7], rows(7, 30, 0.5))],
      { wanted: 'undecoded boxes, or "yolov5" without anchors' },
    ],
    [
      'boxes in pixels called shares',
      boxesScores,
      [tensor('b', [1, 9, 4], () => 30), tensor('s', [1, 9, 2])],
      { path: 'output.normalized' },
    ],
    [
      'boxes in shares called pixels',
      { ...boxesScores, normalized: false },
      [tensor('b', [1, 9, 4]), tensor('s', [1, 9, 2])],
      { path: 'output.normalized' },
    ],
    [
      'raw scores of boxes',
      boxesScores,
      [tensor('b', [1, 9, 4]), tensor('s', [1, 9, 2], () => 3)],
      { path: 'output.kind' },
    ],
    [
      'ssd of more classes than labels',
      ssd,
      ssdOutputs(3, 0.5, 2),
      { path: 'labels', found: "an object of class 2 in tensor 'c', and 2 labels" },
    ],
    ['ssd that counts in halves', ssd, ssdOutputs(1.5), { path: 'output.count' }],
    ['detections of percentages', detections, [tensor('t', [1, 5, 6], row(50, 1))], { path: 'output.kind' }],
    ['detections of half a class', detections, [tensor('t', [1, 5, 6], row(0.5, 0.5))], { path: 'labels' }],
    [
      'mask logits that sum to 1',
      { kind: 'mask-logits' },
      [tensor('t', [1, 2, 4, 8])],
      { wanted: '"mask-probabilities"' },
    ],
    [
      'mask probabilities beyond 1',
      { kind: 'mask-probabilities' },
      [tensor('t', [1, 2, 4, 8], () => 3)],
      { wanted: 'scores from 0 to 1, or "mask-logits"' },
    ],
    [
      'a class without a label',
      { kind: 'labels' },
      [tensor('t', [1, 4, 8], (i) => i, 'UINT8')],
      { path: 'labels', found: "class 2 in tensor 't', and 2 labels" },
    ],
  ])('%s', (_, output, outputs, fault) => {
    expect(fitted(output, outputs).faults).toEqual([expect.objectContaining(fault)]);
  });
});
