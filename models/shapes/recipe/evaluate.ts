/** Prints how well the shipped model does on unseen pictures: accuracy, recall by class, the most frequent mistakes. */
import { join } from 'node:path';
import { labels } from '../generator/classes.ts';
import { openClassifier } from './classifier.ts';
import { accuracy, evaluate, mistakes, recall } from './evaluation.ts';
import { seeds } from './seeds.ts';

const count = Number(process.argv[2] ?? seeds.evaluation.count);
const { from } = seeds.evaluation;
const classify = await openClassifier(join(import.meta.dirname, '../manifest.json'));
const confusion = await evaluate(classify, labels.length, { from, count });

const lines = [
  `accuracy ${accuracy(confusion).toFixed(4)} on ${count} unseen pictures (seeds from ${from})`,
  '',
  'recall',
  ...labels.map((label, column) => `  ${label.padEnd(16)} ${recall(confusion, column).toFixed(3)}`),
  '',
  'most frequent mistakes',
  ...mistakes(confusion)
    .slice(0, 12)
    .map(({ truth, answer, count }) => `  ${labels[truth]} taken for ${labels[answer]}: ${count}`),
];
process.stdout.write(`${lines.join('\n')}\n`);
