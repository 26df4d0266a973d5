import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';
import { stopWorker, untilImages } from '../support/stopped-worker.ts';
import { needsVulkan, useVulkan, vulkan } from '../support/vulkan.ts';

const picture = (path: string) => ({
  base64: readFileSync(new URL(`../../models/${path}`, import.meta.url)).toString('base64'),
});

describe.skipIf(vulkan === null)(`a server on WebGPU (${needsVulkan})`, () => {
  let server: TestServer;
  beforeAll(async () => {
    useVulkan();
    server = await startServer({ FOVEA_PROVIDERS: 'webgpu' });
  }, 300_000);
  afterAll(() => server?.close());

  it('answers with every built-in model, and receipts and metrics say what computed', async () => {
    const images = { base64: examplePicture('blue-star') };
    const classified = await server.operator.classify({ images });
    expect(classified.errors).toEqual([]);
    expect(classified.data!.classify.results[0]).toMatchObject({
      labels: [{ label: 'blue star' }, {}, {}, {}, {}],
    });
    expect(classified.data!.classify.receipt.device).toBe('webgpu');

    const detected = await server.operator.detect({
      model: 'shapes-detect',
      images: picture('shapes-detect/examples/four-objects.jpg'),
    });
    expect(detected.errors).toEqual([]);
    expect(detected.data!.detect.results[0]).toMatchObject({ objects: [{}, {}, {}, {}] });
    expect(detected.data!.detect.receipt.device).toBe('webgpu');

    const segmented = await server.operator.segment({
      model: 'shapes-segment',
      images: picture('shapes-segment/examples/four-shapes.jpg'),
    });
    expect(segmented.errors).toEqual([]);
    expect(segmented.data!.segment.receipt.device).toBe('webgpu');

    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics.match(/^fovea_worker_info.*$/gm)).toEqual([
      'fovea_worker_info{worker="local",device="webgpu"} 1',
    ]);
  }, 120_000);

  it('the next batch is on its way while one is computed, and no third', async () => {
    const { client } = await server.createTenant();
    const images = { base64: examplePicture('blue-star') };
    const { goOn } = await stopWorker(server);
    const answers = [];
    for (const [running, queued] of [
      [1, 0],
      [2, 0],
      [2, 1],
    ] as const) {
      answers.push(client.classify({ images }));
      await untilImages(server, { running, queued });
    }
    goOn();
    for (const { errors } of await Promise.all(answers)) expect(errors).toEqual([]);
  }, 120_000);
});
