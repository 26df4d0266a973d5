import { expect, it, vi } from 'vitest';
import { ModelLoadError, WorkerLostError } from '../../../src/inference/oip/errors.ts';
import { loadSomewhere } from '../../../src/inference/pool/load-somewhere.ts';
import { variantOf } from '../../support/variants.ts';
import { PaperWorker } from '../scheduler/paper-worker.ts';

const variant = variantOf('large', 'a'.repeat(64));
const refusal = new ModelLoadError(400, 'no graph');

/** A worker whose loads take as long as the test says. */
class LoadingWorker extends PaperWorker {
  readonly #load = Promise.withResolvers<void>();
  isAsked = false;

  override async ensureLoaded(): Promise<never> {
    this.isAsked = true;
    return (await this.#load.promise) as never;
  }

  done(): void {
    this.#load.resolve();
  }

  fail(error: Error): void {
    this.#load.reject(error);
  }
}

function start(options: { copies?: number; hedgeMs?: number } = {}) {
  const workers = ['a', 'b', 'c', 'd'].map((name) => new LoadingWorker(name));
  const asked = () => workers.filter(({ isAsked }) => isAsked).length;
  let outcome: string | Error | null = null;
  void loadSomewhere(variant, workers, { hedgeMs: 1, ...options }).then(
    () => {
      outcome = 'loaded';
    },
    (error: Error) => {
      outcome = error;
    },
  );
  return {
    workers: workers as [LoadingWorker, LoadingWorker, LoadingWorker, LoadingWorker],
    asked,
    /** Until so many workers are asked, and for a while in which more would be. */
    untilAsked: async (count: number) => {
      await vi.waitUntil(() => asked() === count);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(asked()).toBe(count);
    },
    outcome: () => vi.waitUntil(() => outcome),
  };
}

it('asks one other worker where one takes long, and no third while both do', async () => {
  const { workers, untilAsked, outcome } = start();
  await untilAsked(2);
  workers[0].done();
  expect(await outcome()).toBe('loaded');
  await untilAsked(2);
});

it('is done with whichever is done first', async () => {
  const { workers, untilAsked, outcome } = start();
  await untilAsked(2);
  workers[1].done();
  expect(await outcome()).toBe('loaded');
});

it('asks the next for each that refuses or goes away', async () => {
  const { workers, untilAsked, outcome } = start();
  await untilAsked(2);
  workers[1].fail(new WorkerLostError('killed'));
  await untilAsked(3);
  workers[0].fail(refusal);
  await untilAsked(4);
  workers[2].fail(new WorkerLostError('killed'));
  workers[3].done();
  expect(await outcome()).toBe('loaded');
});

it('throws what one refused it with where none holds it', async () => {
  const { workers, outcome } = start();
  workers[0].fail(new WorkerLostError('killed'));
  for (const worker of workers.slice(1)) worker.fail(refusal);
  expect(await outcome()).toBe(refusal);
});

it('has as many load it as it is told to, two at once at most', async () => {
  const { workers, untilAsked, outcome } = start({ copies: 3 });
  await untilAsked(2);
  workers[0].done();
  await untilAsked(3);
  workers[1].done();
  await untilAsked(4);
  workers[2].done();
  expect(await outcome()).toBe('loaded');
});

it('asks no other where one is done soon', async () => {
  const { workers, untilAsked, outcome } = start({ hedgeMs: 60_000 });
  await untilAsked(1);
  workers[0].done();
  expect(await outcome()).toBe('loaded');
  await untilAsked(1);
});
