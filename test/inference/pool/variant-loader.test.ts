import { expect, it } from 'vitest';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { OipError } from '../../../src/inference/oip/errors.ts';
import { OipVariant } from '../../../src/inference/pool/oip-variant.ts';
import { loadParameters, VariantLoader } from '../../../src/inference/pool/variant-loader.ts';
import type { BatchOutput } from '../../../src/inference/pool/worker.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { pixelsOf, variantOf } from '../../support/variants.ts';
import { http, startWorker } from '../worker/in-process-worker.ts';

const { signal } = new AbortController();

/** A loader for a real worker that holds `mean`, and somebody else who asks that worker as well. */
async function start() {
  const { worker, artifacts, client } = await startWorker();
  const mean = variantOf('mean', artifacts.put(meanModel(2, 2)));
  const load = () => client.load(mean.key, loadParameters(mean, false));
  const unload = () => http(worker.address, 'POST', `/v2/repository/models/${mean.key}/unload`);
  const loader = new VariantLoader(async () => new OipVariant(client, mean, await load()));
  await loader.ensure(mean);
  let runs = 0;
  /** `before` and `failed`: what somebody else does then. */
  const use = (pixels = pixelsOf(4), before = async () => {}, failed = async () => {}) =>
    loader.use(
      mean,
      async (open) => {
        runs += 1;
        await before();
        return open.infer(pixels, signal).catch(async (error) => {
          await failed();
          throw error;
        });
      },
      (open) => open.isHeld(signal),
    );
  return { load, unload, use, runs: () => runs };
}

const meanOf = ({ outputs }: BatchOutput) => elementsOf('FP32', outputs[0]!.data)[0];

it('runs a batch again that found its variant unloaded, though somebody else has had it loaded since', async () => {
  const { load, unload, use, runs } = await start();
  await unload();
  expect(meanOf(await use(pixelsOf(4), undefined, async () => void (await load())))).toBe(8);
  expect(runs()).toBe(2);
});

it('gives up where it is unloaded each time', async () => {
  const { unload, use, runs } = await start();
  const before = async () => void (await unload());
  await expect(use(pixelsOf(4), before)).rejects.toMatchObject({ status: 404 });
  expect(runs()).toBe(4);
});

it('runs what fails otherwise once', async () => {
  const { use, runs } = await start();
  await expect(use({ ...pixelsOf(4), name: 'pictures' })).rejects.toMatchObject({ status: 400 });
  expect(runs()).toBe(1);
});

it('runs a batch again where another batch has had its variant loaded again, whatever the server calls that', async () => {
  const variant = variantOf('any', 'a'.repeat(64));
  let held = 'nothing';
  let loads = 0;
  const open = () => {
    loads += 1;
    held = `load ${loads}`;
    return { name: held, infer: () => Promise.reject(), isHeld: async () => true };
  };
  const loader = new VariantLoader(async () => open());
  const run = async (used: unknown) => {
    const { name } = used as ReturnType<typeof open>;
    if (name !== held) throw new OipError(400, 'unknown model');
    return name;
  };
  const isHeld = async () => held !== 'nothing';
  await loader.ensure(variant);
  held = 'nothing';
  const { promise: isLoadedAgain, resolve } = Promise.withResolvers<void>();
  const late = loader.use(variant, (used) => isLoadedAgain.then(() => run(used)), isHeld);
  expect(await loader.use(variant, run, isHeld)).toBe('load 2');
  resolve();
  expect(await late).toBe('load 2');
});
