import { describe, expect, it } from 'vitest';
import type { Compression } from '../../src/inference/variant.ts';
import { chooseVariant } from '../../src/models/choose-variant.ts';
import type { CompressionReport, StoredVariant } from '../../src/models/registry.ts';

const report: CompressionReport = {
  ...{
    dataset: 'photos',
    samples: 40,
    accuracyDelta: null,
    agreement: 1,
    speedup: 1,
    sizeRatio: 1,
    sparsity: null,
  },
};

function variant(
  compression: Compression,
  unitsPerImage: number,
  of: Partial<CompressionReport> | null,
): StoredVariant {
  return {
    ...{
      key: compression,
      title: compression,
      task: 'CLASSIFY',
      compression,
      externalData: [],
      format: 'onnx',
      publicName: null,
      preprocessing: null,
      artifactSha256: 'a'.repeat(64),
      labels: [],
      maxBatch: 8,
      maxQueueDelayMs: 0,
    },
    input: { tensor: 'pixels', width: 1, height: 1, fit: 'fill', resizeShort: null, align: 'center', pad: 0 },
    output: { kind: 'logits', tensor: 'scores', background: null },
    unitsPerImage,
    sizeBytes: 1,
    report: of && { ...report, ...of },
  };
}

const none = variant('NONE', 4, null);
const unknown = () => null;

describe('a compression asked for by name', () => {
  const variants = [none, variant('INT8', 1, { agreement: 0.1 })];

  it('is that variant, whatever its report says', () => {
    expect(chooseVariant(variants, 'INT8', { maxAccuracyLoss: 0, maxLatencyMs: null }, unknown)?.key).toBe(
      'INT8',
    );
  });

  it('is nothing where the model has no such variant', () => {
    expect(chooseVariant(variants, 'FLOAT16', null, unknown)).toBeNull();
  });
});

describe('AUTO', () => {
  const loss = (maxAccuracyLoss: number) => ({ maxAccuracyLoss, maxLatencyMs: null });

  it.each<[string, StoredVariant[], number, Compression]>([
    ['takes the cheapest', [none, variant('FLOAT16', 3, {}), variant('INT8', 2, {})], 0.01, 'INT8'],
    [
      'of equally cheap ones takes the fastest',
      [none, variant('FLOAT16', 2, { speedup: 1.5 }), variant('INT8', 2, { speedup: 2 })],
      0.01,
      'INT8',
    ],
    ['does not call slower a gain', [none, variant('FLOAT16', 4, { speedup: 0.8 })], 0.01, 'NONE'],
    [
      'prefers the uncompressed one where nothing else tells them apart',
      [variant('PRUNED', 4, { speedup: 1 }), none],
      0.01,
      'NONE',
    ],
    [
      'keeps to the accuracy where it was measured',
      [none, variant('INT8', 1, { accuracyDelta: -0.02, agreement: 1 })],
      0.01,
      'NONE',
    ],
    [
      'takes a loss that is allowed',
      [none, variant('INT8', 1, { accuracyDelta: -0.02, agreement: 0.5 })],
      0.02,
      'INT8',
    ],
    [
      'takes a gain under any bound',
      [none, variant('INT8', 1, { accuracyDelta: 0.01, agreement: 0.5 })],
      0,
      'INT8',
    ],
    [
      'keeps to the agreement where accuracy was not measured',
      [none, variant('INT8', 1, { agreement: 0.95 })],
      0.04,
      'NONE',
    ],
    ['believes nothing that was not measured', [none, variant('INT8', 1, null)], 1, 'NONE'],
    ['always has the uncompressed one to fall back on', [none], 0, 'NONE'],
  ])('%s', (_, variants, maxAccuracyLoss, chosen) => {
    expect(chooseVariant(variants, 'AUTO', loss(maxAccuracyLoss), unknown)?.compression).toBe(chosen);
  });

  it('without bounds allows a loss of 0.01', () => {
    const at = (agreement: number) =>
      chooseVariant([none, variant('INT8', 1, { agreement })], 'AUTO', null, unknown)?.key;
    expect([at(0.995), at(0.98)]).toEqual(['INT8', 'NONE']);
  });

  describe('with a bound on latency', () => {
    const variants = [none, variant('FLOAT16', 3, {}), variant('INT8', 2, {})];
    const known = (latencies: Record<string, number>) => (key: string) => latencies[key] ?? null;
    const within = (latencies: Record<string, number>) =>
      chooseVariant(variants, 'AUTO', { maxAccuracyLoss: 0.01, maxLatencyMs: 10 }, known(latencies))?.key ??
      null;

    it('leaves out what is known to be slower', () => {
      expect(within({ INT8: 11, FLOAT16: 10, NONE: 5 })).toBe('FLOAT16');
    });

    it('does not leave out what is not known yet', () => {
      expect(within({ NONE: 5 })).toBe('INT8');
    });

    it('is nothing where all are slower', () => {
      expect(within({ INT8: 11, FLOAT16: 12, NONE: 13 })).toBeNull();
    });
  });
});
