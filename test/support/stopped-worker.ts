import { onTestFinished, vi } from 'vitest';
import type { TestServer } from './server.ts';

/** Patient: the tests share their processors. */
const patience = { timeout: 20_000, interval: 10 };

/**
 * Stops the server's worker where it is: a batch that was sent to it stays under way until `goOn`, or the end of the test.
 */
export async function stopWorker(server: TestServer): Promise<{ pid: number; goOn: () => void }> {
  const pid = await readyWorker(server);
  process.kill(pid, 'SIGSTOP');
  const goOn = () => {
    try {
      process.kill(pid, 'SIGCONT');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // Killed meanwhile.
    }
  };
  onTestFinished(goOn);
  return { pid, goOn };
}

/** The process id of the server's worker, once it is ready and is not `not`. */
export function readyWorker(server: TestServer, not: number | null = null): Promise<number> {
  return vi.waitUntil(() => {
    const { state, pid } = server.context.pool.workers[0]!.stats();
    return state === 'ready' && pid !== null && pid !== not && pid;
  }, patience);
}

/** Until exactly so many images are in the worker's batch and so many wait behind it. */
export async function untilImages(
  server: TestServer,
  images: { running: number; queued: number },
): Promise<void> {
  await vi.waitFor(async () => {
    const running = await server.metric('fovea_images_running');
    const queued = await server.metric('fovea_images_queued');
    if (running !== images.running || queued !== images.queued) {
      throw new Error(`${running} images run and ${queued} wait, not ${images.running} and ${images.queued}`);
    }
  }, patience);
}
