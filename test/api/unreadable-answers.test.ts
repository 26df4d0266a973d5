import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { expectBooked } from '../support/booked.ts';
import { importManifest } from '../support/imported-models.ts';
import { unreadableOnDarkModel } from '../support/onnx-fixture.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
const logged: string[] = [];
beforeAll(async () => {
  const logger = createLogger('error', { write: (line) => logged.push(line) });
  server = await startServer({}, { logger });
  const folder = mkdtempSync(join(tmpdir(), 'fovea-unreadable-'));
  try {
    writeFileSync(join(folder, 'model.onnx'), unreadableOnDarkModel(4));
    writeFileSync(join(folder, 'labels.txt'), 'red\ngreen\nblue\n');
    const manifest = {
      ...{ name: 'night-blind', version: 1, task: 'CLASSIFY', format: 'onnx', file: 'model.onnx' },
      ...{ input: { width: 4, height: 4 }, output: { kind: 'logits' }, labels: 'labels.txt' },
    };
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
    await importManifest(join(folder, 'manifest.json'), { server });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
afterAll(() => server?.close());

async function picture(r: number, g: number, b: number): Promise<{ base64: string }> {
  const plain = { width: 4, height: 4, channels: 3 as const, background: { r, g, b } };
  return { base64: (await sharp({ create: plain }).png().toBuffer()).toString('base64') };
}

async function metrics(): Promise<string> {
  return (await fetch(`${server.url}/metrics`)).text();
}

const labels = 'model="night-blind",version="1",compression="NONE"';

it('fails the image that it is about, unbilled, and tells the operator which model it was', async () => {
  const { client } = await server.createTenant();
  expect(await metrics()).not.toContain('night-blind');
  const images = [await picture(0, 0, 0), await picture(250, 40, 20)];
  const { data, errors } = await client.classify({ model: 'night-blind', images, topK: 1 });
  expect(errors).toEqual([]);
  expect(data!.classify.results).toMatchObject([
    { code: 'INFERENCE_FAILED', message: 'the model answered NaN for this image, which is no probability' },
    { labels: [{ label: 'red' }] },
  ]);
  expect(data!.classify.receipt).toMatchObject({ images: 1, units: 1 });
  await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 1 });

  expect(await metrics()).toContain(`fovea_inference_failures_total{${labels},reason="unreadable"} 1\n`);
  expect(await metrics()).toContain(`fovea_variant_flagged{${labels}} 1\n`);
  expect(logged.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'a model answered what cannot be read', model: 'night-blind', version: 1 },
  ]);
});

it('is flagged until it has answered a hundred readable ones in a row', async () => {
  const { client } = await server.createTenant();
  const images = Array.from({ length: 25 }, () => ({ base64: '' })).fill(await picture(9, 200, 30));
  const ask = (some: readonly { base64: string }[]) =>
    client.classify({ model: 'night-blind', images: some });
  for (let times = 0; times < 3; times += 1) expect((await ask(images)).errors).toEqual([]);
  await ask([await picture(0, 0, 0)]);
  for (let times = 0; times < 3; times += 1) await ask(images);
  expect(await metrics()).toContain(`fovea_variant_flagged{${labels}} 1\n`);
  await ask(images);
  expect(await metrics()).toContain(`fovea_variant_flagged{${labels}} 0\n`);
  expect(await metrics()).toContain(`fovea_inference_failures_total{${labels},reason="unreadable"} 2\n`);
  expect(logged).toHaveLength(1);
  await server.expectExactLedger();
});
