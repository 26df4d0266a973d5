import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../lib/logger.ts';
import type { RunningWorker } from './worker.ts';

/** The longest it may take to answer what was asked for before the end. */
const DRAIN_MS = 5_000;
/** Ctrl-C under npm arrives twice, from the terminal and from npm: signals closer than this are one. */
const SAME_SIGNAL_MS = 500;

/**
 * Settles when the worker has ended: on SIGTERM or SIGINT what it was asked for is still answered, for 5 s and unless a
 * second signal ends the process at once. With `exitWithParent` it also ends when standard input does, which the parent
 * holds open for as long as it lives: however the parent dies, SIGKILL included, no worker is left behind. The caller exits
 * the process then.
 */
export async function untilStopped(
  worker: RunningWorker,
  { exitWithParent }: { exitWithParent: boolean },
  logger: Logger,
): Promise<void> {
  const reason = await new Promise<'signal' | 'parent gone'>((resolve) => {
    let firstSignalAt: number | null = null;
    const onSignal = () => {
      const now = performance.now();
      firstSignalAt ??= now;
      if (now - firstSignalAt > SAME_SIGNAL_MS) process.exit(130);
      resolve('signal');
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    if (exitWithParent) {
      process.stdin.once('close', () => resolve('parent gone'));
      process.stdin.once('error', () => resolve('parent gone'));
      process.stdin.resume();
      const watch = new Worker(new URL('./parent-watch.ts', import.meta.url), { workerData: process.ppid });
      watch.unref();
    }
  });
  // Nobody is left to read an answer, nor the log: its pipe may be gone as well.
  if (reason === 'parent gone') return;
  logger.info('worker is ending');
  await Promise.race([worker.close(), sleep(DRAIN_MS)]);
}
