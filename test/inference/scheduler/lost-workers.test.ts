import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WorkerLostError } from '../../../src/inference/oip/errors.ts';
import { MortalWorker, POISON } from './mortal-worker.ts';
import { dispatcherOver } from './paper-dispatcher.ts';
import { PaperWorker } from './paper-worker.ts';

const failure = {
  code: 'INFERENCE_FAILED',
  message: 'inference workers stopped each time that they ran this image',
};

describe.each([
  { workers: 1, capacity: 1 },
  { workers: 1, capacity: 2 },
  { workers: 3, capacity: 2 },
])('with $workers workers that take $capacity batches', ({ workers: count, capacity }) => {
  const start = (options = {}) => {
    const workers = Array.from(
      { length: count },
      (_, index) => new MortalWorker(`${index}`, capacity, options),
    );
    return { workers, ...dispatcherOver(workers) };
  };

  it('an image that workers die of fails, and none that shared a batch with it', async () => {
    const { workers, run } = start();
    const busy = Array.from({ length: count * capacity }, () => run(1));
    const together = [run(2), run(POISON), run(3), run(4)];
    const [two, poison, ...others] = await Promise.allSettled(together);
    expect(poison).toMatchObject({ status: 'rejected', reason: failure });
    for (const outcome of [two, ...others]) expect(outcome).toMatchObject({ status: 'fulfilled' });
    await Promise.all(busy);
    // In their batch, and twice alone.
    expect(workers.reduce((deaths, worker) => deaths + worker.deaths, 0)).toBe(3);
  });

  it('it is tried on workers that have nothing else, however much there is to do', async () => {
    const { workers, run } = start();
    let isOver = false;
    const load = Array.from({ length: 16 }, async () => {
      while (!isOver) await run(1);
    });
    await sleep(20);
    const poison = run(POISON, { tenant: 'poisoner' });
    await expect(poison).rejects.toMatchObject(failure);
    isOver = true;
    await Promise.all(load);
    const beside = workers.flatMap(({ besidePoison }) => besidePoison);
    expect(beside.filter((others) => others === 0).length).toBeGreaterThanOrEqual(2);
  });

  // After a worker all that it had is run alone: less than passes until the next is ended, or nothing would ever be done.
  it('no image fails because somebody ends workers under load, time and again', async () => {
    const { workers, run } = start({ msPerImage: 4, awayMs: 10 });
    let answered = 0;
    let isOver = false;
    const load = Array.from({ length: 12 }, async (_, index) => {
      while (!isOver) {
        await run(index + 1);
        answered += 1;
      }
    });
    for (let kills = 0; kills < 20; kills += 1) {
      await sleep(70 + (kills % 7) * 5);
      workers[kills % count]!.kill();
    }
    isOver = true;
    await Promise.all(load);
    expect(answered).toBeGreaterThan(100);
  });
});

it('asks another worker, and then the client, where one has no time', async () => {
  class BusyWorker extends PaperWorker {
    asked = 0;
    override infer(): Promise<never> {
      this.asked += 1;
      return Promise.reject(new WorkerLostError('the worker answered 503', { isBusy: true }));
    }
  }
  const [busy, other] = [new BusyWorker('busy', 1), new MortalWorker('other', 1)];
  const { run } = dispatcherOver([busy, other]);
  for (let image = 0; image < 10; image += 1) await run(1);
  expect(busy.asked).toBeGreaterThan(0);
  const { run: runOnBusy } = dispatcherOver([new BusyWorker('busy', 1)]);
  await expect(runOnBusy(1)).rejects.toMatchObject({ code: 'OVERLOADED' });
});
