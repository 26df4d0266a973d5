import { expect, it, onTestFinished, vi } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { modelFolder } from '../models/model-folder.ts';
import { expectBooked } from '../support/booked.ts';
import { runCommand } from '../support/command-line.ts';
import { stuckOnWhiteModel } from '../support/onnx-fixture.ts';
import { examplePicture, startServer } from '../support/server.ts';
import { readyWorker, untilImages } from '../support/stopped-worker.ts';

vi.setConfig({ testTimeout: 120_000 });

async function picture(background: string): Promise<{ base64: string }> {
  const image = sharp({ create: { width: 2, height: 2, channels: 3, background } });
  return { base64: (await image.png().toBuffer()).toString('base64') };
}

it('a model under which workers die is refused, unbilled and by its name; others, and its next version, are served', async () => {
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
  const [white, red] = await Promise.all([picture('#fff'), picture('#f00')]);
  let pid: number | null = null;
  /** As the system would that has no more memory for it. */
  const killWhileItRuns = async () => {
    pid = await readyWorker(server, pid);
    await untilImages(server, { running: 1, queued: 0 });
    process.kill(pid, 'SIGKILL');
  };

  const first = client.classify({ model: 'deadly', images: white });
  await killWhileItRuns();
  await killWhileItRuns();
  expect((await first).data!.classify).toMatchObject({
    results: [{ code: 'INFERENCE_FAILED' }],
    receipt: { units: 0 },
  });
  const second = client.classify({ model: 'deadly', images: white });
  await killWhileItRuns();
  const refused = { code: 'INFERENCE_FAILED', message: expect.stringContaining('the model deadly@1 made') };
  expect((await second).data!.classify).toMatchObject({ results: [refused], receipt: { units: 0 } });

  // At once, and whatever the picture.
  const third = await client.classify({ model: 'deadly', images: [white, red] });
  expect(third.data!.classify).toMatchObject({ results: [refused, refused], receipt: { units: 0 } });
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/^fovea_model_quarantine_seconds\{model="deadly@1"\} \d+$/m);
  expect(log.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ model: 'deadly@1', deaths: 3, quarantineMs: 60_000 }),
  );

  const { data, errors } = await client.classify({ images: { base64: examplePicture() } });
  expect(errors).toEqual([]);
  expect(data!.classify.receipt).toMatchObject({ model: 'shapes', units: 1 });
  await importVersion(2);
  const next = await client.classify({ model: 'deadly', images: red });
  expect(next.data!.classify).toMatchObject({ results: [{ labels: [{ label: 'red' }, {}, {}] }] });
  expect((await client.classify({ model: 'deadly@1', images: red })).data!.classify.results).toMatchObject([
    refused,
  ]);
  // Answered without an image: four requests of five images; with one: two.
  await expectBooked(server, client, { requests: 6, images: 2, units: 2, errors: 5 });
});
