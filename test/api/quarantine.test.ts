import { expect, it, onTestFinished, vi } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { modelFolder } from '../models/model-folder.ts';
import { expectBooked } from '../support/booked.ts';
import { runCommand } from '../support/command-line.ts';
import { stuckOnWhiteModel } from '../support/onnx-fixture.ts';
import { examplePicture, startServer } from '../support/server.ts';
import { readyWorker } from '../support/stopped-worker.ts';

vi.setConfig({ testTimeout: 120_000 });

async function picture(pixels: Uint8Array): Promise<{ base64: string }> {
  const image = sharp(pixels, { raw: { width: 2, height: 2, channels: 3 } });
  return { base64: (await image.png().toBuffer()).toString('base64') };
}

/** White, for the model, and each another: `index` below 12. */
const white = (index: number) => picture(Buffer.alloc(12, 255).fill(254, index, index + 1));
const red = await picture(Buffer.alloc(12, 'ff0000', 'hex'));

it('a model under which workers die is refused to the tenant they die under, unbilled and by its name; others, and its next version, are served', async () => {
  const log: string[] = [];
  const logger = createLogger('error', { write: (line) => log.push(line) });
  const server = await startServer({}, { logger });
  onTestFinished(() => server.close());
  const importVersion = async (version: number) => {
    const manifest = modelFolder({
      file: stuckOnWhiteModel(2),
      labels: 'red\ngreen\nblue\n',
      manifest: { name: 'deadly', version, input: { width: 2, height: 2 } },
    });
    expect(await runCommand(server, 'models', 'import', manifest)).toMatchObject({ exitCode: 0 });
  };
  await importVersion(1);
  const { client } = await server.createTenant();
  const worker = server.context.pool.workers[0]!;
  const infer = vi.spyOn(worker, 'infer');
  let killed: number | null = null;
  /** Ends workers as the system would that has no more memory for what they run. */
  const killUntilAnswered = async (images: Parameters<typeof client.classify>[0]['images']) => {
    let isOver = false;
    const answer = client.classify({ model: 'deadly', images, timeoutMs: 60_000 }).finally(() => {
      isOver = true;
    });
    // Whoever is killed as it loads the model says nothing of images.
    const runs = async () =>
      isOver ||
      (worker.holds(infer.mock.lastCall?.[0].key ?? '') && (await server.metric('fovea_images_running')) > 0);
    while (!isOver) {
      const pid = await readyWorker(server, killed);
      await vi.waitUntil(runs, { timeout: 20_000, interval: 10 });
      if (isOver) break;
      process.kill(pid, 'SIGKILL');
      killed = pid;
    }
    return (await answer).data!.classify;
  };

  const failed = { code: 'INFERENCE_FAILED' };
  // What workers die of may be the picture: that is refused, the model is not.
  const first = await killUntilAnswered(await white(0));
  expect(first).toMatchObject({ results: [failed], receipt: { units: 0 } });
  expect(await client.classify({ model: 'deadly', images: [await white(0), red] })).toMatchObject({
    data: {
      classify: {
        results: [
          { code: 'INFERENCE_FAILED', message: expect.stringContaining('the model deadly@1 ran this image') },
          { labels: [{ label: 'red' }, {}, {}] },
        ],
      },
    },
  });

  // Where they die of several, it is the model.
  const second = await killUntilAnswered([await white(1), await white(2), await white(3)]);
  expect(second).toMatchObject({ results: [failed, failed, failed], receipt: { units: 0 } });
  const refused = {
    code: 'INFERENCE_FAILED',
    message: expect.stringMatching(/^the model deadly@1 made .* on images of yours: it is not run on them/),
  };

  // At once, and whatever the picture.
  const third = await client.classify({ model: 'deadly', images: [await white(4), red] });
  expect(third.data!.classify).toMatchObject({ results: [refused, refused], receipt: { units: 0 } });
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/^fovea_model_quarantine_seconds\{model="deadly@1",images_of="one tenant"\} \d+$/m);
  expect(log.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ model: 'deadly@1', deaths: expect.any(Number), quarantineMs: 60_000 }),
  );

  const { client: other } = await server.createTenant();
  const served = await other.classify({ model: 'deadly', images: red });
  expect(served.data!.classify).toMatchObject({ results: [{ labels: [{ label: 'red' }, {}, {}] }] });

  const { data, errors } = await client.classify({ images: { base64: examplePicture() } });
  expect(errors).toEqual([]);
  expect(data!.classify.receipt).toMatchObject({ model: 'shapes', units: 1 });
  await importVersion(2);
  const next = await client.classify({ model: 'deadly', images: red });
  expect(next.data!.classify).toMatchObject({ results: [{ labels: [{ label: 'red' }, {}, {}] }] });
  expect((await client.classify({ model: 'deadly@1', images: red })).data!.classify.results).toMatchObject([
    refused,
  ]);
  // Answered without an image: four requests of seven images; with one: three, and one image beside it.
  await expectBooked(server, client, { requests: 7, images: 3, units: 3, errors: 8 });
});
