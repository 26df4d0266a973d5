import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { Quarantine } from '../../../src/inference/pool/quarantine.ts';
import { registerQuarantineMetrics } from '../../../src/inference/pool/quarantine-metrics.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { variantOf } from '../../support/variants.ts';

it('tells of two models of one name the longer time, and of none whose time is over; and whether all are meant', async () => {
  let now = 0;
  const clock = { now: () => now, elapsed: () => now };
  const quarantine = new Quarantine(createLogger('silent'), { deaths: 1, clock });
  const registry = new Registry();
  registerQuarantineMetrics(registry, quarantine);
  const told = async () => (await registry.metrics()).split('\n').filter((line) => line.startsWith('fovea_'));
  // Of two tenants.
  const [one, other] = ['one', 'other'].map((key) => ({ ...variantOf(key, key), title: 'mine@1' }));
  const dies = (variant = one) => quarantine.died('broke', [{ variant: variant!, pixels: null }]);
  dies();
  now += 60_000;
  dies();
  dies(other);
  expect(await told()).toEqual(['fovea_model_quarantine_seconds{model="mine@1",images_of="all"} 120']);
  now += 119_500;
  expect(await told()).toEqual(['fovea_model_quarantine_seconds{model="mine@1",images_of="all"} 1']);
  now += 500;
  expect(await told()).toEqual([]);
  const pixels: Tensor = { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data: new Uint8Array(12) };
  const shared = variantOf('shared', 'shared');
  quarantine.died('broke', [{ variant: shared, pixels, tenants: ['a'] }]);
  expect(await told()).toEqual([
    'fovea_model_quarantine_seconds{model="shared@1",images_of="one tenant"} 60',
  ]);
});
