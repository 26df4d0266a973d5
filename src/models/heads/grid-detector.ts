import type { DetectOutput } from '../../inference/variant.ts';
import { labelColumns } from '../labels.ts';
import type { OutputOf } from '../manifest.ts';
import type { Fault } from '../manifest-error.ts';
import { type Head, numbersOf, type Part, type Shown, takeOutput, unbatchedOf } from './head.ts';
import { areShares, checkProbabilities, lookLikeShares, rangeOf } from './ranges.ts';

type GridManifest = OutputOf<'yolov5' | 'yolov8' | 'yolox' | 'nanodet'>;

/** How a head lays out a row, which is an anchor. */
interface RowLayout {
  /** Columns before the classes, those of the classes themselves not counted. */
  readonly others: number;
  /** The first column of a score: of the object or of a class. */
  readonly scores: (columns: number) => readonly [from: number, to: number];
  readonly boxes: (columns: number) => readonly [from: number, to: number];
  readonly columnsWanted: string;
}

/** [N,A,K], an anchor a row, over the cells of the grids that the strides lay over the picture; yolov8 [N,K,A] as well. */
export function fitGridDetector(output: GridManifest, shown: Shown, faults: Fault[]): Head | null {
  const layout = layoutOf(output);
  const anchors = anchorsOf(output, shown);
  const isRows = ([rows = 0, columns = 0]: readonly number[]) =>
    anchors.fits(rows) && columns > layout.others;
  const isColumns = ([columns = 0, rows = 0]: readonly number[]) => isRows([rows, columns]);
  const canTurn = output.kind === 'yolov8';
  const rows = `${anchors.wanted},${layout.columnsWanted}`;
  const turned = `${layout.columnsWanted},${anchors.wanted}`;
  const where = `for strides ${output.strides.join(',')} at ${shown.width}×${shown.height}`;
  const wish = {
    field: 'tensor',
    name: output.tensor,
    wanted: `${canTurn ? `[N,${turned}] or [N,${rows}]` : `[N,${rows}]`} as "${output.kind}" has it ${where}`,
    fits: (shape: readonly number[]) =>
      shape.length === 2 && (isRows(shape) || (canTurn && isColumns(shape))),
  };
  const taken = takeOutput(wish, shown, faults);
  if (taken === null) return null;
  const { name: tensor, shape } = taken;
  const byColumn = canTurn && isColumns(shape);
  const [rowCount = 0, columns = 0] = byColumn ? shape.toReversed() : shape;
  const classes = columns - layout.others;
  const labels = labelColumns(shown.labels, { columns: classes, background: null }, faults);
  const parts = (tensors: Shown['answers'][number]): Part[] => {
    const values = numbersOf(tensors, tensor);
    const cut = ([from, to]: readonly [number, number]): Part => ({
      tensor,
      values: byColumn ? values.slice(from * rowCount, to * rowCount) : columnsOf(values, columns, from, to),
      compare: 'values',
    });
    return [cut(layout.boxes(columns)), cut(layout.scores(columns))];
  };
  const stored = checkValues(output, tensor, shown, shown.answers.map(parts), faults);
  return { output: stored, labels, unbatched: unbatchedOf(taken), parts };
}

function layoutOf(output: GridManifest): RowLayout {
  switch (output.kind) {
    case 'yolov8':
      return {
        others: 4,
        boxes: () => [0, 4],
        scores: (columns) => [4, columns],
        columnsWanted: '4+C',
      };
    case 'nanodet': {
      const distances = 4 * (output.regMax + 1);
      return {
        others: distances,
        boxes: (columns) => [columns - distances, columns],
        scores: (columns) => [0, columns - distances],
        columnsWanted: `C+${distances}`,
      };
    }
    default:
      return {
        others: 5,
        boxes: () => [0, 4],
        scores: (columns) => [4, columns],
        columnsWanted: '5+C',
      };
  }
}

/** How many rows a head has. */
function anchorsOf(
  output: GridManifest,
  { width, height }: Shown,
): { wanted: string; fits: (rows: number) => boolean } {
  const cells = output.strides.map((stride) => Math.ceil(width / stride) * Math.ceil(height / stride));
  const sum = (rows: readonly number[]) => rows.reduce((total, each) => total + each, 0);
  const once = sum(cells);
  if (output.kind !== 'yolov5') return { wanted: String(once), fits: (rows) => rows === once };
  const { anchors } = output;
  if (anchors === null) return { wanted: `k·${once}`, fits: (rows) => rows > 0 && rows % once === 0 };
  const all = sum(cells.map((each, index) => (each * anchors[index]!.length) / 2));
  return { wanted: String(all), fits: (rows) => rows === all };
}

/** Pushes faults where the numbers cannot be what the kind says; answers what is to be stored. */
function checkValues(
  output: GridManifest,
  tensor: string,
  shown: Shown,
  answers: readonly (readonly Part[])[],
  faults: Fault[],
): DetectOutput {
  const boxes = answers.map(([part]) => part!.values);
  const scores = answers.map(([, part]) => part!.values);
  const { kind, strides } = output;
  const inPixels = lookLikeShares(boxes, shown) === false;
  const refuseScores = (wanted: string) => checkProbabilities(scores, { kind, tensor, wanted }, faults);
  if (output.kind === 'yolov5') {
    const decoded = areShares(rangeOf(scores));
    if (output.anchors !== null && !decoded)
      return { kind: 'yolov5', tensor, strides, anchors: output.anchors };
    refuseScores('scores from 0 to 1; or output.anchors, where the graph does not decode them itself');
    if (decoded) refuseShares(boxes, tensor, shown, faults);
    return { kind: 'yolov5', tensor, strides, anchors: null };
  }
  refuseScores('scores from 0 to 1: a graph with the sigmoid inside');
  if (output.kind === 'nanodet') return { kind: 'nanodet', tensor, strides, regMax: output.regMax };
  if (output.kind === 'yolov8') refuseShares(boxes, tensor, shown, faults);
  else if (inPixels) {
    const found = `boxes in tensor '${tensor}' that the graph has decoded to pixels`;
    faults.push({ path: 'output.kind', found, wanted: 'undecoded boxes, or "yolov5" without anchors' });
  }
  return { kind: output.kind, tensor, strides };
}

function refuseShares(
  boxes: readonly ArrayLike<number>[],
  tensor: string,
  shown: Shown,
  faults: Fault[],
): void {
  if (lookLikeShares(boxes, shown) !== true) return;
  const found = `boxes up to ${rangeOf(boxes).most} in tensor '${tensor}'`;
  faults.push({ path: 'output', found, wanted: "boxes in pixels of the model's input" });
}

function columnsOf(
  values: Float32Array | Float64Array,
  columns: number,
  from: number,
  to: number,
): Float32Array {
  const width = to - from;
  const cut = new Float32Array((values.length / columns) * width);
  for (let at = 0, row = 0; at < cut.length; at += width, row += columns)
    cut.set(values.subarray(row + from, row + to), at);
  return cut;
}
