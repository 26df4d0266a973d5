import { expect, it } from 'vitest';
import { OipClient } from '../../../src/inference/oip/client.ts';
import type { Tensor } from '../../../src/inference/tensor.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';
import { FoveaWorker } from '../../support/fovea-worker.ts';
import { slowOnBrightModel } from '../../support/onnx-fixture.ts';

const MAX_BATCH = 4;
/** An image takes 2 to the power of that many rounds, some milliseconds; so does a batch. */
const GREY = 15;

/** A worker in a process of its own, and two clients of it as two API processes are. */
async function startShared() {
  const artifacts = artifactFolder();
  const worker = await FoveaWorker.start({ artifacts: artifacts.dir });
  const one = new OipClient({ baseUrl: worker.address });
  const other = new OipClient({ baseUrl: worker.address });
  await one.load('slow', { sha256: artifacts.put(slowOnBrightModel(2)), warmup_batch: MAX_BATCH });
  /** In the order in which they were answered. */
  const answered: string[] = [];
  const ask = async (client: OipClient, tenant: string, parameters: object = {}) => {
    const data = new Uint8Array(MAX_BATCH * 12).fill(GREY);
    const images: Tensor = { name: 'images', datatype: 'UINT8', shape: [MAX_BATCH, 2, 2, 3], data };
    const { parameters: told } = await client.infer('slow', [images], {
      parameters: { tenant, ...parameters },
    });
    expect(told.batch_size).toBe(MAX_BATCH);
    answered.push(tenant);
  };
  const asks = (count: number, client: OipClient, tenant: string, parameters: object = {}) =>
    Array.from({ length: count }, () => ask(client, tenant, parameters));
  return { one, other, asks, answered };
}

it('does not let a flood through one process keep the tenant of another waiting', async () => {
  const { one, other, asks, answered } = await startShared();
  const flood = asks(60, one, 'flood');
  await Promise.race(flood);
  const before = answered.length;
  await Promise.all(asks(5, other, 'other'));
  const between = answered.slice(answered.indexOf('other'), answered.lastIndexOf('other'));
  // As many as the other's, and what two tenants may be apart.
  expect(between.filter((tenant) => tenant === 'flood').length).toBeLessThan(15);
  expect(answered.indexOf('other') - before).toBeLessThan(40);
  expect(answered.length).toBeLessThan(60);
  await Promise.all(flood);
});

it('shares by weight whatever process asks for whom', async () => {
  const { one, other, asks, answered } = await startShared();
  const all = [...asks(60, one, 'light'), ...asks(60, other, 'heavy', { weight: 3 })];
  await Promise.all(all);
  // While both have something waiting.
  const firsts = answered.slice(10, 70);
  const heavy = firsts.filter((tenant) => tenant === 'heavy').length;
  expect(heavy).toBeGreaterThan(36);
  expect(heavy).toBeLessThan(54);
});
