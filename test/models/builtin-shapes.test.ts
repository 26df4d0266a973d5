import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { labels } from '../../models/shapes/generator/classes.ts';
import { kinds } from '../../models/shapes/generator/kinds.ts';
import { scene } from '../../models/shapes/generator/scene.ts';
import { accuracy, intersectionOverUnion, mistakes, recall } from '../../models/shapes/recipe/confusion.ts';
import {
  evaluateClassifier,
  evaluateDetector,
  evaluateSegmenter,
  manifestOf,
} from '../../models/shapes/recipe/evaluation.ts';
import { examples } from '../../models/shapes/recipe/examples.ts';
import { models } from '../../models/shapes/recipe/manifests.ts';
import { openModel } from '../../models/shapes/recipe/model.ts';
import { knownSeeds, seeds } from '../../models/shapes/recipe/seeds.ts';

const folderOf = (model: string) => join(manifestOf(model), '..');
const fileOf = ({ model, name }: (typeof examples)[number]) =>
  join(folderOf(model), 'examples', `${name}.jpg`);
const examplesOf = (model: string) => examples.filter((example) => example.model === model);
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('the built-in models', () => {
  it.each(models)('$name is shipped as its recipe says: manifest, hash and labels', ({ name, ...own }) => {
    const manifest = JSON.parse(readFileSync(manifestOf(name), 'utf8'));
    const { task, input, output } = own;
    expect(manifest).toMatchObject({ name, task, input, output, labels: 'labels.txt' });
    const model = readFileSync(join(folderOf(name), manifest.file));
    expect(createHash('sha256').update(model).digest('hex')).toBe(manifest.sha256);
    expect(readFileSync(join(folderOf(name), 'labels.txt'), 'utf8')).toBe(`${own.labels.join('\n')}\n`);
  });

  it('weigh 4 MB together', () => {
    const sizes = models.map(({ name }) => statSync(join(folderOf(name), `${name}.onnx`)).size);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(4_000_000);
  });

  it('are judged by seeds they were not made with', () => {
    expect(knownSeeds(seeds.evaluation)).toBeUndefined();
    expect(knownSeeds(seeds.test)).toBeUndefined();
    expect(knownSeeds({ from: seeds.training.from - 1, count: 1 })).toBeUndefined();
    expect(knownSeeds({ from: seeds.training.from - 1, count: 2 })).toBe(seeds.training);
    expect(knownSeeds({ from: seeds.crowdedTraining.from + 23_999, count: 1 })).toBe(seeds.crowdedTraining);
    expect(knownSeeds({ from: 0, count: 10_000_000 })).toBeDefined();
  });

  it('come with examples of at most 20 kB, the first small enough for a command line', () => {
    const sizes = examples.map((example) => statSync(fileOf(example)).size);
    expect(sizes[0]).toBeLessThanOrEqual(4096);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(20_480);
    for (const { name } of models) {
      const files = readdirSync(join(folderOf(name), 'examples'));
      expect(files.sort()).toEqual(
        examplesOf(name)
          .map((example) => `${example.name}.jpg`)
          .sort(),
      );
    }
  });
});

describe('the built-in classifier', () => {
  it('names at least 98 of 100 unseen pictures rightly, and no class much worse', async () => {
    const confusion = await evaluateClassifier(seeds.test);
    expect(accuracy(confusion), JSON.stringify(mistakes(confusion).slice(0, 5))).toBeGreaterThanOrEqual(0.98);
    for (const [column, label] of labels.entries())
      expect(recall(confusion, column), label).toBeGreaterThan(0.8);
  }, 60_000);

  it('names every shipped example as its file does', async () => {
    const classify = await openModel(manifestOf('shapes'), 'CLASSIFY', { topK: 1, minScore: 0 });
    const answers = await classify(examplesOf('shapes').map((example) => readFileSync(fileOf(example))));
    const names = answers.map(({ labels: [best] }) => best!.label.replace(' ', '-'));
    expect(names).toEqual(examplesOf('shapes').map(({ name }) => name));
  });
});

describe('the built-in detector', () => {
  it('reaches a mean average precision of 0.95 on unseen pictures', async () => {
    const precisions = await evaluateDetector({ ...seeds.test, count: 96 });
    expect(precisions.size).toBe(labels.length);
    expect(mean([...precisions.values()])).toBeGreaterThanOrEqual(0.95);
  }, 60_000);

  it('finds in every shipped example the objects of its scene and no other', async () => {
    const asked = { minScore: 0.25, iouThreshold: 0.45, maxDetections: 100 };
    const detect = await openModel(manifestOf('shapes-detect'), 'DETECT', asked);
    const shipped = examplesOf('shapes-detect');
    const answers = await detect(shipped.map((example) => readFileSync(fileOf(example))));
    for (const [index, { seed, ...options }] of shipped.entries()) {
      const { objects } = scene(seed, options);
      const found = answers[index]!.objects.map(({ label }) => label);
      expect(found.sort()).toEqual(objects.map(({ colour, kind }) => `${colour} ${kind}`).sort());
      expect(objects.length).toBeGreaterThan(1);
    }
  });
});

describe('the built-in segmenter', () => {
  it('reaches a mean intersection over union of 0.9 on unseen pictures', async () => {
    const confusion = await evaluateSegmenter({ ...seeds.test, count: 48 });
    const overlaps = ['background', ...kinds].map((_, index) => intersectionOverUnion(confusion, index));
    expect(mean(overlaps)).toBeGreaterThanOrEqual(0.9);
  }, 60_000);

  it('tells in every shipped example the kinds of its scene and no other', async () => {
    const segment = await openModel(manifestOf('shapes-segment'), 'SEGMENT', { minScore: 0.5 });
    const shipped = examplesOf('shapes-segment');
    const answers = await segment(shipped.map((example) => readFileSync(fileOf(example))));
    for (const [index, { seed, ...options }] of shipped.entries()) {
      const present = new Set(scene(seed, options).objects.map(({ kind }) => kind));
      expect(answers[index]!.segments.map(({ label }) => label).sort()).toEqual([...present].sort());
      expect(present.size).toBeGreaterThan(1);
    }
  });
});
