import type { Tensor } from '../../inference/tensor.ts';
import { labelColumns } from '../labels.ts';
import type { OutputOf } from '../manifest.ts';
import type { Fault } from '../manifest-error.ts';
import { type Head, numbersOf, type Shown, takeOutput, unbatchedOf } from './head.ts';
import { checkProbabilities, lookLikeShares, rangeOf } from './ranges.ts';

/** boxes [N,A,4] and scores [N,A,C], before any suppression. */
export function fitBoxesScores(
  manifest: OutputOf<'boxes-scores'>,
  shown: Shown,
  faults: Fault[],
): Head | null {
  const { kind, format, normalized, background } = manifest;
  const boxes = takeOutput(
    {
      field: 'boxes',
      name: manifest.boxes,
      wanted: `'${manifest.boxes}' as boxes [N,A,4]`,
      fits: (shape) => shape.length === 2 && shape[0]! > 0 && shape[1] === 4,
    },
    shown,
    faults,
  );
  const scores = takeOutput(
    {
      field: 'scores',
      name: manifest.scores,
      wanted: `'${manifest.scores}' as scores [N,${boxes?.shape[0] ?? 'A'},C], a row for each box`,
      fits: (shape) => shape.length === 2 && shape[1]! > 0 && shape[0] === (boxes?.shape[0] ?? shape[0]),
    },
    shown,
    faults,
  );
  if (!boxes || !scores) return null;
  const labels = labelColumns(shown.labels, { columns: scores.shape[1]!, background }, faults);
  const all = (name: string) => shown.answers.map((tensors) => numbersOf(tensors, name));
  const wanted = 'scores from 0 to 1: a graph with the softmax or sigmoid inside';
  checkProbabilities(all(scores.name), { kind, tensor: scores.name, wanted }, faults);
  const shares = lookLikeShares(all(boxes.name), shown);
  if (shares !== null && shares !== normalized) {
    const { least, most } = rangeOf(all(boxes.name));
    const found = `${normalized}, and boxes from ${least} to ${most} in tensor '${boxes.name}'`;
    faults.push({
      path: 'output.normalized',
      found,
      wanted: `${shares}: ${shares ? 'they are shares' : 'they are pixels'} of the model's input`,
    });
  }
  return {
    output: { kind, boxes: boxes.name, scores: scores.name, format, normalized, background },
    labels,
    unbatched: unbatchedOf(boxes, scores),
    parts: (tensors) =>
      [boxes.name, scores.name].map((tensor) => ({
        tensor,
        values: numbersOf(tensors, tensor),
        compare: 'values',
      })),
  };
}

/** boxes [N,M,4], scores and classes [N,M], count [N]: the graph has suppressed what overlaps. */
export function fitSsd(manifest: OutputOf<'ssd'>, shown: Shown, faults: Fault[]): Head | null {
  const { kind, format, normalized } = manifest;
  const wholeTypes = ['FP32', 'INT32', 'INT64'] as const;
  const isList = (shape: readonly number[]) => shape.length === 1;
  const isBoxes = (shape: readonly number[]) => shape.length === 2 && shape[1] === 4;
  const isCount = (shape: readonly number[]) => shape.length === 0 || (shape.length === 1 && shape[0] === 1);
  const take = (
    field: 'boxes' | 'scores' | 'classes' | 'count',
    as: string,
    fits: (shape: readonly number[]) => boolean,
  ) => {
    const name = manifest[field];
    const types = field === 'classes' || field === 'count' ? wholeTypes : (['FP32'] as const);
    return takeOutput({ field, name, wanted: `'${name}' as ${field} ${as}`, fits, types }, shown, faults);
  };
  const boxes = take('boxes', '[N,M,4]', isBoxes);
  const scores = take('scores', '[N,M]', isList);
  const classes = take('classes', '[N,M]', isList);
  const count = take('count', '[N], how many of the rows count', isCount);
  if (!boxes || !scores || !classes || !count) return null;

  const rowsOf = (tensors: readonly Tensor[]): number[][] => {
    const numbers = [boxes, scores, classes].map(({ name }) => numbersOf(tensors, name));
    const [corners = [], points = [], indices = []] = numbers;
    const rows = Math.min(numbersOf(tensors, count.name)[0]!, points.length, indices.length);
    return Array.from({ length: Math.max(0, Math.floor(rows)) }, (_, row) => [
      ...corners.slice(4 * row, 4 * row + 4),
      ...[points[row]!, indices[row]!],
    ]);
  };
  const counts = shown.answers.map((tensors) => numbersOf(tensors, count.name)[0]!);
  const most = boxes.shape[0]!;
  const odd = counts.find((each) => !Number.isInteger(each) || each < 0);
  if (odd !== undefined) {
    const found = `${odd} in tensor '${count.name}'`;
    faults.push({ path: 'output.count', found, wanted: `a whole number of rows, 0 to ${most}` });
  }
  checkRows(
    shown.answers.flatMap(rowsOf),
    { kind, scores: scores.name, classes: classes.name, score: 4, class: 5 },
    shown,
    faults,
  );
  return {
    output: {
      kind,
      boxes: boxes.name,
      scores: scores.name,
      classes: classes.name,
      count: count.name,
      format,
      normalized,
    },
    labels: shown.labels,
    unbatched: unbatchedOf(boxes, scores, classes, count),
    parts: (tensors) => [
      {
        tensor: boxes.name,
        values: rowsOf(tensors)
          .filter((row) => !isPadding(row[4]!, row[5]!))
          .flat(),
        compare: { columns: 6 },
      },
    ],
  };
}

/** [N,M,K]: a row an object, by columns that the manifest names. */
export function fitDetections(
  { kind, tensor: name, columns, normalized }: OutputOf<'detections'>,
  shown: Shown,
  faults: Fault[],
): Head | null {
  const taken = takeOutput(
    {
      field: 'tensor',
      name,
      wanted: `[N,M,${columns.length}], as output.columns names ${columns.length} columns`,
      fits: (shape) => shape.length === 2 && shape[1] === columns.length,
    },
    shown,
    faults,
  );
  if (taken === null) return null;
  const tensor = taken.name;
  const [score, ofClass] = [columns.indexOf('score'), columns.indexOf('class')];
  const objectsOf = (tensors: readonly Tensor[]): number[][] => {
    const values = numbersOf(tensors, tensor);
    const rows = Array.from({ length: values.length / columns.length }, (_, row) => [
      ...values.subarray(row * columns.length, (row + 1) * columns.length),
    ]);
    return rows.filter((row) => !isPadding(row[score]!, row[ofClass]!));
  };
  const objects = shown.answers.flatMap(objectsOf);
  checkRows(objects, { kind, scores: tensor, classes: tensor, score, class: ofClass }, shown, faults);
  return {
    output: { kind, tensor, columns, normalized },
    labels: shown.labels,
    unbatched: unbatchedOf(taken),
    parts: (tensors) => [{ tensor, values: objectsOf(tensors).flat(), compare: { columns: columns.length } }],
  };
}

/** Rows that fill up the list have no score, or no class. What is no number at all is not among them: it is to be told. */
function isPadding(score: number, ofClass: number): boolean {
  return score <= 0 || ofClass < 0;
}

/** How many classes such a head has, it says nowhere: those of its objects must have a label each. */
function checkRows(
  rows: readonly (readonly number[])[],
  at: { kind: string; scores: string; classes: string; score: number; class: number },
  { labels }: Shown,
  faults: Fault[],
): void {
  const scores = rows.map((row) => row[at.score]!);
  const wanted = 'scores from 0 to 1';
  checkProbabilities([scores], { kind: at.kind, tensor: at.scores, wanted }, faults);
  const odd = rows.map((row) => row[at.class]!).find((each) => labels[each] === undefined);
  if (odd === undefined || Number.isNaN(odd)) return;
  const found = `an object of class ${odd} in tensor '${at.classes}', and ${labels.length} labels`;
  faults.push({ path: 'labels', found, wanted: 'a label for each class, the first for class 0' });
}
