import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { labels } from '../../models/shapes/generator/classes.ts';
import { type Classify, openClassifier } from '../../models/shapes/recipe/classifier.ts';
import { accuracy, evaluate, mistakes, recall } from '../../models/shapes/recipe/evaluation.ts';
import { examples } from '../../models/shapes/recipe/examples.ts';
import { seeds } from '../../models/shapes/recipe/seeds.ts';

const folder = join(import.meta.dirname, '../../models/shapes');
const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));

describe('the built-in model shapes', () => {
  let classify: Classify;

  beforeAll(async () => {
    classify = await openClassifier(join(folder, 'manifest.json'));
  });

  it('is shipped as its manifest says: file, hash and labels', () => {
    const model = readFileSync(join(folder, manifest.file));
    expect(createHash('sha256').update(model).digest('hex')).toBe(manifest.sha256);
    expect(model.length).toBeLessThan(1_000_000);
    expect(readFileSync(join(folder, manifest.labels), 'utf8')).toBe(`${labels.join('\n')}\n`);
  });

  it('names at least 98 of 100 unseen pictures rightly, and no class much worse', async () => {
    const confusion = await evaluate(classify, labels.length, seeds.test);
    const worst = mistakes(confusion).slice(0, 5);
    expect(accuracy(confusion), JSON.stringify(worst)).toBeGreaterThanOrEqual(0.98);
    for (const [column, label] of labels.entries())
      expect(recall(confusion, column), label).toBeGreaterThan(0.8);
  }, 60_000);

  it('names every shipped example as its file does', async () => {
    const files = readdirSync(join(folder, 'examples'));
    expect(files.sort()).toEqual(examples.map(({ name }) => `${name}.jpg`).sort());
    const pictures = files.map((file) => ({
      bytes: readFileSync(join(folder, 'examples', file)),
      column: -1,
    }));
    const answers = await classify(pictures);
    expect(answers.map((column) => `${labels[column]!.replace(' ', '-')}.jpg`)).toEqual(files);
  });

  it('has an example small enough for a command line, and none above 20 kB', () => {
    const sizes = examples.map(({ name }) => statSync(join(folder, 'examples', `${name}.jpg`)).size);
    expect(sizes[0]).toBeLessThanOrEqual(4096);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20_480);
  });
});
