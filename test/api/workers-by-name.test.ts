import { expect, it, onTestFinished, vi } from 'vitest';
import { FoveaWorker } from '../support/fovea-worker.ts';
import { examplePicture, startServer } from '../support/server.ts';

const patience = { timeout: 60_000, interval: 50 };
vi.setConfig({ testTimeout: 120_000 });

// Other systems have 127.0.0.1 alone.
it.skipIf(process.platform !== 'linux')(
  'workers with empty stores come and go with their name, and no request fails (on Linux, where 127.0.0.2 can be listened on)',
  async () => {
    const token = 'only-these-workers-take-it';
    const first = await FoveaWorker.start({ token });
    const second = await FoveaWorker.start({ token, listen: `127.0.0.2:${first.port}` });
    let addresses = ['127.0.0.1'];
    const asked = new Set<string>();
    const server = await startServer(
      { FOVEA_WORKERS: `dns+http://workers.test:${first.port}`, FOVEA_WORKER_TOKEN: token },
      {
        resolve: async (name) => {
          asked.add(name);
          return addresses;
        },
      },
    );
    onTestFinished(() => server.close());
    const { client } = await server.createTenant();
    const nameOf = ({ address }: FoveaWorker) => `${address} of workers.test`;
    const names = () => server.context.pool.workers.map(({ name }) => name);
    const ready = () => server.context.pool.workers.filter((worker) => worker.ready).map(({ name }) => name);

    let isOver = false;
    let answered = 0;
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const { errors, data } = await client.classify({ images: [{ base64: examplePicture() }] });
        expect(errors).toEqual([]);
        expect(data!.classify.results).toMatchObject([{ labels: [{ label: 'red circle' }, {}, {}, {}, {}] }]);
        answered += 1;
      }
    });
    const untilAnswered = (more: number) => {
      const before = answered;
      return vi.waitUntil(() => answered >= before + more, patience);
    };

    expect(names()).toEqual([nameOf(first)]);
    addresses = ['127.0.0.1', '127.0.0.2'];
    await vi.waitUntil(() => ready().length === 2, patience);
    await untilAnswered(10);
    addresses = ['127.0.0.2'];
    await vi.waitUntil(() => !names().includes(nameOf(first)), patience);
    expect(ready()).toEqual([nameOf(second)]);
    // Nobody asks it any more.
    first.kill();
    await untilAnswered(10);
    isOver = true;
    await Promise.all(load);
    expect([...asked]).toEqual(['workers.test']);
  },
);
