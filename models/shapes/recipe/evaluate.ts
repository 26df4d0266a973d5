/**
 * Prints how well the shipped models do on freshly drawn scenes: `npm run evaluate -- --scenes 1000 --seed 3000000` are the
 * defaults.
 */
import { parseArgs } from 'node:util';
import { labels } from '../generator/classes.ts';
import { kinds } from '../generator/kinds.ts';
import { accuracy, type Confusion, intersectionOverUnion, mistakes, recall } from './confusion.ts';
import { evaluateClassifier, evaluateDetector, evaluateSegmenter, type Progress } from './evaluation.ts';
import { knownSeeds, type SeedRange, seeds } from './seeds.ts';

const range = rangeOf(process.argv.slice(2));
const channels = ['background', ...kinds];

const confusion = await evaluateClassifier(range, progressOf('shapes'));
const precisions = await evaluateDetector(range, progressOf('shapes-detect'));
const pixels = await evaluateSegmenter(range, progressOf('shapes-segment'));

const recalls = byClass(labels, (index) => recall(confusion, index));
const averages = byClass(labels, (index) => precisions.get(index) ?? Number.NaN);
const overlaps = byClass(channels, (index) => intersectionOverUnion(pixels, index));

const { from, count } = range;
process.stdout.write(
  `${count} scenes of one object, ${count} of up to five; seeds ${from} to ${from + count - 1}\n\n`,
);
printRow('model', 'measure', 'value', 'worst class');
printRow('shapes', 'accuracy', accuracy(confusion).toFixed(4), worst(recalls, 'recall'));
printRow('shapes-detect', 'mAP@0.5', mean(averages).toFixed(4), worst(averages, 'AP'));
printRow('shapes-segment', 'mIoU', mean(overlaps).toFixed(4), worst(overlaps, 'IoU'));
printMistakes(confusion);

function rangeOf(args: string[]): SeedRange {
  const { values } = parseArgs({
    args,
    options: {
      scenes: { type: 'string', default: '1000' },
      seed: { type: 'string', default: String(seeds.evaluation.from) },
    },
  });
  const count = wholeNumber('--scenes', values.scenes, 1);
  const from = wholeNumber('--seed', values.seed, 0);
  const known = knownSeeds({ from, count });
  if (known !== undefined) {
    throw new Error(
      `--seed ${from}: the models were made with ${known.from} to ${known.from + known.count - 1}; choose others.`,
    );
  }
  return { from, count };
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  // A scene knows 32 bits of its seed: beyond them, the seeds of training would come again.
  if (Number.isInteger(value) && value >= least && value <= 1e9) return value;
  throw new Error(`${option} ${text}: expected a whole number from ${least} to 1000000000.`);
}

function progressOf(model: string): Progress {
  const line = (done: number) => `${model}: ${done} of ${range.count} scenes`;
  if (process.stderr.isTTY)
    return (done) => process.stderr.write(`\r${line(done)}${done === range.count ? '\n' : ''}`);
  const step = Math.ceil(range.count / 10);
  let next = step;
  return (done) => {
    if (done < next) return;
    process.stderr.write(`${line(done)}\n`);
    next = done + step;
  };
}

type Measured = readonly { readonly label: string; readonly value: number }[];

/** Of the classes that the scenes have anything of. */
function byClass(labels: readonly string[], measure: (index: number) => number): Measured {
  const all = labels.map((label, index) => ({ label, value: measure(index) }));
  return all.filter(({ value }) => !Number.isNaN(value));
}

function mean(measured: Measured): number {
  return measured.reduce((sum, { value }) => sum + value, 0) / measured.length;
}

function worst(measured: Measured, measure: string): string {
  const { label, value } = measured.reduce((least, each) => (each.value < least.value ? each : least));
  return `${label}, ${measure} ${value.toFixed(4)}`;
}

function printRow(...[model, measure, value, rest]: [string, string, string, string]): void {
  process.stdout.write(`${model.padEnd(16)}${measure.padEnd(10)}${value.padEnd(8)}${rest}\n`);
}

function printMistakes(confusion: Confusion): void {
  const most = mistakes(confusion).slice(0, 12);
  if (most.length > 0) process.stdout.write('\nmost frequent mistakes of shapes\n');
  for (const { truth, answer, count } of most) {
    process.stdout.write(`  ${labels[truth]} taken for ${labels[answer]}: ${count}\n`);
  }
}
