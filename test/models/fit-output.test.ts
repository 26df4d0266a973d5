import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../src/inference/tensor.ts';
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

describe('a head fits what the graph answers', () => {
  it.each<[string, unknown, Tensor[], unknown]>([
    ['logits', { kind: 'logits' }, [tensor('t', [1, 2], (i) => 9 * i)], { tensor: 't', background: null }],
    ['logits as maps of one pixel', { kind: 'logits' }, [tensor('t', [1, 2, 1, 1], (i) => 9 * i)], {}],
    [
      'the one of several outputs that can be meant',
      { kind: 'logits' },
      [tensor('t', [1, 2], (i) => 9 * i), tensor('maps', [1, 2, 4, 4])],
      { tensor: 't' },
    ],
    [
      'yolov5 decoded',
      { kind: 'yolov5', strides },
      [tensor('t', [1, 120, 7], rows(7, 30, 0.5))],
      { anchors: null },
    ],
    [
      'yolov5 raw',
      { kind: 'yolov5', strides, anchors },
      [tensor('t', [1, 72, 7], rows(7, 1, -3))],
      { anchors },
    ],
    [
      'yolov5 with anchors that the graph has used already',
      { kind: 'yolov5', strides, anchors },
      [tensor('t', [1, 72, 7], rows(7, 30, 0.5))],
      { anchors: null },
    ],
    [
      'yolov8',
      { kind: 'yolov8', strides },
      [tensor('t', [1, 6, 40], (i) => (i < 160 ? 30 : 0.5))],
      { tensor: 't', strides },
    ],
    [
      'yolov8 turned',
      { kind: 'yolov8', strides },
      [tensor('t', [1, 40, 6], rows(6, 30, 0.5))],
      { tensor: 't', strides },
    ],
    [
      'yolox',
      { kind: 'yolox', strides },
      [tensor('t', [1, 40, 7], rows(7, -1, 0.5))],
      { tensor: 't', strides },
    ],
    [
      'nanodet',
      { kind: 'nanodet', strides, regMax: 1 },
      [tensor('t', [1, 40, 10], (i) => (i % 10 < 2 ? 0.5 : -4))],
      { regMax: 1 },
    ],
    [
      'boxes and scores',
      boxesScores,
      [tensor('s', [1, 9, 2]), tensor('b', [1, 9, 4])],
      { boxes: 'b', scores: 's' },
    ],
    ['ssd', ssd, ssdOutputs(3), { boxes: 'b', count: 'n' }],
    ['ssd that finds nothing in noise', ssd, ssdOutputs(0, 7, 99), {}],
    ['detections', detections, [tensor('t', [1, 5, 6], row(0.5, 1))], { columns: detections.columns }],
    ['detections of which all rows are padding', detections, [tensor('t', [1, 5, 6], row(0, -1))], {}],
    [
      'mask logits',
      { kind: 'mask-logits' },
      [tensor('t', [1, 2, 4, 8], (i) => 9 * i)],
      { layout: 'NCHW', background: 0 },
    ],
    [
      'mask probabilities, channels last',
      { kind: 'mask-probabilities', layout: 'NHWC' },
      [tensor('t', [1, 4, 8, 2])],
      { layout: 'NHWC' },
    ],
    ['labels', { kind: 'labels' }, [tensor('t', [1, 1, 4, 8], (i) => i % 2, 'INT64')], { background: 0 }],
    [
      'labels in whole floats',
      { kind: 'labels', background: null },
      [tensor('t', [1, 4, 8], (i) => i % 2)],
      { background: null },
    ],
  ])('%s', (_, output, outputs, stored) => {
    const { head, faults } = fitted(output, outputs);
    expect(faults).toEqual([]);
    expect(head!.output).toMatchObject(stored as object);
    expect(head!.unbatched).toEqual([]);
    expect(head!.labels).toEqual(['class 0', 'class 1']);
  });

  it.each<[unknown, Tensor[], string[]]>([
    [{ kind: 'logits' }, [tensor('t', [2], (i) => 9 * i)], ['t']],
    [{ kind: 'yolox', strides }, [tensor('t', [40, 7], rows(7, -1, 0.5))], ['t']],
    [{ kind: 'mask-logits' }, [tensor('t', [2, 4, 8], (i) => 9 * i)], ['t']],
    [{ kind: 'labels' }, [tensor('t', [4, 8], (i) => i % 2)], ['t']],
    [detections, [tensor('t', [5, 6], row(0.5, 1))], ['t']],
    [
      ssd,
      [
        tensor('b', [3, 4]),
        tensor('s', [3]),
        tensor('c', [3], () => 1, 'INT64'),
        tensor('n', [], () => 3, 'INT32'),
      ],
      ['b', 's', 'c', 'n'],
    ],
  ])('%j, and which outputs have no batch axis is told', (output, outputs, unbatched) => {
    const { head, faults } = fitted(output, outputs);
    expect(faults).toEqual([]);
    expect(head!.unbatched).toEqual(unbatched);
  });

  it('a mask of one channel has one label and no background', () => {
    const one = [tensor('t', [1, 1, 4, 8], (index) => index - 9)];
    const { head, faults } = fitted({ kind: 'mask-logits' }, one, 1);
    expect(faults).toEqual([]);
    expect(head).toMatchObject({ output: { background: null }, labels: ['class 0'] });
    expect(fitted({ kind: 'mask-logits', background: 1 }, one, 1).faults).toMatchObject([
      { path: 'output.background' },
    ]);
  });

  it('a background whose label the file leaves out gets one', () => {
    const { head } = fitted({ ...boxesScores, background: 0 }, [
      tensor('b', [1, 9, 4]),
      tensor('s', [1, 9, 3]),
    ]);
    expect(head!.labels).toEqual(['background', 'class 0', 'class 1']);
  });
});

describe('what two graphs are compared by leaves out the rows that fill up a list', () => {
  it.each<[string, unknown, Tensor[], number]>([
    ['of ssd without a score', ssd, ssdOutputs(3, 0), 0],
    ['not of ssd with one', ssd, ssdOutputs(2), 2],
    ['of detections without a score', detections, [tensor('t', [1, 5, 6], row(0, 1))], 0],
    ['of detections without a class', detections, [tensor('t', [1, 5, 6], row(0.5, -1))], 0],
    [
      'not of detections whose score is no number',
      detections,
      [tensor('t', [1, 5, 6], row(Number.NaN, 1))],
      5,
    ],
  ])('%s', (_, output, outputs, rowsLeft) => {
    const [part] = fitted(output, outputs).head!.parts(outputs);
    expect(part!.values).toHaveLength(6 * rowsLeft);
  });
});
