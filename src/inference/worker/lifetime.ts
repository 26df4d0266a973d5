import type { Logger } from '../../lib/logger.ts';
import type { RunningWorker } from './worker.ts';

/**
 * Settles when the worker has ended: on SIGTERM or SIGINT what it was asked for is still answered. With `exitWithParent`
 * it also ends when standard input does, which the parent holds open for as long as it lives: however the parent dies,
 * SIGKILL included, no worker is left behind. The caller exits the process then.
 */
export async function untilStopped(
  worker: RunningWorker,
  { exitWithParent }: { exitWithParent: boolean },
  logger: Logger,
): Promise<void> {
  const reason = await new Promise<'signal' | 'parent gone'>((resolve) => {
    process.once('SIGTERM', () => resolve('signal'));
    process.once('SIGINT', () => resolve('signal'));
    if (exitWithParent) {
      process.stdin.once('close', () => resolve('parent gone'));
      process.stdin.once('error', () => resolve('parent gone'));
      process.stdin.resume();
    }
  });
  // Nobody is left to read an answer, nor the log: its pipe may be gone as well.
  if (reason === 'parent gone') return;
  logger.info('worker is ending');
  await worker.close();
}
