import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sharp } from '../../src/inference/images/libvips.ts';
import { modelFolder } from '../models/model-folder.ts';
import { expectBooked } from '../support/booked.ts';
import { runCommand } from '../support/command-line.ts';
import { stuckOnWhiteModel } from '../support/onnx-fixture.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { readyWorker, stopWorker, untilImages } from '../support/stopped-worker.ts';

// Each kill in a row is followed by a longer pause.
vi.setConfig({ testTimeout: 120_000 });

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const image = { base64: examplePicture() };
const times = (count: number) => Array<typeof image>(count).fill(image);

/** Imports a public model that is never done with a batch that has a white picture in it. */
async function importStuckOnWhite(): Promise<void> {
  const manifest = modelFolder({
    file: stuckOnWhiteModel(2),
    labels: 'red\ngreen\nblue\n',
    manifest: { name: 'stuck-on-white', input: { width: 2, height: 2 } },
  });
  expect(await runCommand(server, 'models', 'import', manifest, '--json')).toMatchObject({
    exitCode: 0,
    stderr: '',
  });
}

async function picture(background: string): Promise<{ base64: string }> {
  const image = sharp({ create: { width: 2, height: 2, channels: 3, background } });
  return { base64: (await image.png().toBuffer()).toString('base64') };
}

describe('a worker that is killed in mid-batch', () => {
  it('is replaced, and its batch runs on the fresh one: every image is answered and billed once', async () => {
    const [first, second] = await Promise.all([server.createTenant(), server.createTenant()]);
    const { pid, goOn } = await stopWorker(server);
    const alone = first.client.classify({ images: image });
    await untilImages(server, { running: 1, queued: 0 });
    const answers = [
      first.client.classify({ images: times(3) }),
      second.client.classify({ images: times(4) }),
    ];
    await untilImages(server, { running: 1, queued: 7 });
    process.kill(pid, 'SIGKILL');
    goOn();
    const counts = await Promise.all(
      [alone, ...answers].map(async (answer) => {
        const { data, errors } = await answer;
        expect(errors).toEqual([]);
        return data!.classify.receipt.units;
      }),
    );
    expect(counts).toEqual([1, 3, 4]);
    expect(await readyWorker(server)).not.toBe(pid);
    await expectBooked(server, first.client, { requests: 2, images: 4, units: 4, errors: 0 });
    await expectBooked(server, second.client, { requests: 1, images: 4, units: 4, errors: 0 });
  });

  it('does not run again what its client no longer waits for', async () => {
    await importStuckOnWhite();
    const { client } = await server.createTenant();
    const model = 'stuck-on-white';
    const pid = await readyWorker(server);
    const late = client.classify({ model, images: await picture('#fff'), timeoutMs: 3_000 });
    await untilImages(server, { running: 1, queued: 0 });
    expect((await late).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
    process.kill(pid, 'SIGKILL');
    // Did the white picture run again, this one would never have its turn.
    const { errors } = await client.classify({ model, images: await picture('#f00') });
    expect(errors).toEqual([]);
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('time and again under the same image: that image has failed, and those who rode along are served', async () => {
    await importStuckOnWhite();
    const [culprit, bystander] = await Promise.all([server.createTenant(), server.createTenant()]);
    const [white, red] = await Promise.all([picture('#fff'), picture('#f00')]);
    const model = 'stuck-on-white';

    const first = await stopWorker(server);
    const warm = bystander.client.classify({ model, images: red });
    await untilImages(server, { running: 1, queued: 0 });
    const unlucky = culprit.client.classify({ model, images: [white, red] });
    await untilImages(server, { running: 1, queued: 2 });
    const lucky = bystander.client.classify({ model, images: [red] });
    await untilImages(server, { running: 1, queued: 3 });
    first.goOn();
    expect((await warm).errors).toEqual([]);
    await untilImages(server, { running: 3, queued: 0 });

    let isOver = false;
    const answered = unlucky.finally(() => {
      isOver = true;
    });
    const hangs = () => vi.waitUntil(async () => isOver || (await isAlone()), { timeout: 20_000 });
    // It hangs for ever: whatever else runs alone is done in no time.
    const isRunning = async () => (await server.metric('fovea_images_running')) === 1;
    const isAlone = async () => (await isRunning()) && (await sleep(300, true)) && (await isRunning());
    let kills = 0;
    // More often than a crash alone would take: workers died before of nothing that they ran.
    for (let pid = first.pid; !isOver && kills < 10; kills += 1) {
      process.kill(pid, 'SIGKILL');
      pid = await readyWorker(server, pid);
      await hangs();
    }
    expect(kills).toBeLessThan(10);
    const { data, errors } = await answered;
    expect(errors).toEqual([]);
    expect(data!.classify).toMatchObject({
      results: [{ code: 'INFERENCE_FAILED' }, { labels: [{ label: 'red' }, {}, {}] }],
      receipt: { units: 1, images: 1 },
    });
    expect((await lucky).data!.classify).toMatchObject({
      results: [{ labels: [{ label: 'red' }, {}, {}] }],
      receipt: { units: 1, batchSize: 1 },
    });
    await expectBooked(server, culprit.client, { requests: 1, images: 1, units: 1, errors: 1 });
    await expectBooked(server, bystander.client, { requests: 2, images: 2, units: 2, errors: 0 });
  });

  it('again and again under load: what is answered is billed, once, and nothing else', async () => {
    const { client } = await server.createTenant();
    let killing = true;
    const load = Array.from({ length: 4 }, async () => {
      let images = 0;
      let requests = 0;
      while (killing) {
        const { data, errors } = await client.classify({ images: times(8) });
        expect(errors).toEqual([]);
        images += data?.classify.receipt.units ?? 0;
        requests += data ? 1 : 0;
      }
      return { images, requests };
    });
    let pid: number | null = null;
    for (let kills = 0; kills < 2; kills += 1) {
      pid = await readyWorker(server, pid);
      process.kill(pid, 'SIGKILL');
    }
    await readyWorker(server, pid);
    killing = false;
    const served = await Promise.all(load);
    const sum = (count: 'images' | 'requests') => served.reduce((total, one) => total + one[count], 0);
    expect(sum('images')).toBe(8 * sum('requests'));
    await expectBooked(server, client, {
      requests: sum('requests'),
      images: sum('images'),
      units: sum('images'),
      errors: 0,
    });
  });
});
