import { expect, it } from 'vitest';
import { resultKey } from '../../../src/inference/cache/result-key.ts';
import type { ClassifyReading } from '../../../src/inference/tasks/read-output.ts';
import type { ClassifyOutput } from '../../../src/inference/variant.ts';
import { variantOf } from '../../support/variants.ts';

const asked = { original: { width: 500, height: 375 }, topK: 5, minScore: 0 };

interface Parts {
  readonly tenantId?: string;
  readonly task?: 'CLASSIFY' | 'SEGMENT';
  readonly chosen?: { readonly model?: string; readonly version?: number };
  readonly variant?: Partial<ReturnType<typeof variantOf>>;
  readonly asked?: Partial<typeof asked>;
  readonly pixels?: Uint8Array;
}

/** Every part made anew, so that nothing but what it says can be told of it. */
function keyOf(parts: Parts = {}): string {
  const variant = { ...variantOf('key', 'a'.repeat(64)), ...parts.variant };
  const reading: ClassifyReading = {
    ...{ output: variant.output as ClassifyOutput, labels: variant.labels },
    ...asked,
    ...parts.asked,
  };
  return resultKey(
    parts.tenantId ?? 'tenant',
    (parts.task ?? 'CLASSIFY') as 'CLASSIFY',
    { model: 'shapes', version: 1, ...parts.chosen, variant },
    reading,
    parts.pixels ?? new Uint8Array(12),
  );
}

it('is the same for the same image asked about in the same way', () => {
  expect(keyOf()).toBe(keyOf());
  expect(keyOf()).toMatch(/^[\w-]{43}$/);
});

const { input } = variantOf('', '');

it.each<[string, Parts]>([
  ['tenant', { tenantId: 'other' }],
  ['task', { task: 'SEGMENT' }],
  ['model', { chosen: { model: 'forms' } }],
  ['version', { chosen: { version: 2 } }],
  ['variant', { variant: { key: 'other' } }],
  ['artefact', { variant: { artifactSha256: 'b'.repeat(64) } }],
  ['weights', { variant: { externalData: ['c'.repeat(64)] } }],
  ['compression', { variant: { compression: 'INT8' } }],
  ['input', { variant: { input: { ...input, fit: 'cover' } } }],
  ['output', { variant: { output: { kind: 'probabilities', tensor: 'means', background: null } } }],
  ['labels', { variant: { labels: ['red', 'green', 'bleu'] } }],
  ['topK', { asked: { topK: 4 } }],
  ['minScore', { asked: { minScore: 0.1 } }],
  ["original's width", { asked: { original: { width: 501, height: 375 } } }],
  ["original's height", { asked: { original: { width: 500, height: 374 } } }],
  ['first pixel', { pixels: new Uint8Array(12).fill(1, 0, 1) }],
  ['last pixel', { pixels: new Uint8Array(12).fill(1, 11) }],
  ['number of pixels', { pixels: new Uint8Array(13) }],
])('is another for another %s', (_, parts) => {
  expect(keyOf(parts)).not.toBe(keyOf());
});
