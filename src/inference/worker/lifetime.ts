import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import type { RunningWorker } from './worker.ts';

/** The longest it may take to answer what was asked for before the end. */
const DRAIN_MS = 5_000;
/** Ctrl-C under npm arrives twice, from the terminal and from npm: signals closer than this are one. */
const SAME_SIGNAL_MS = 500;

/**
 * Settles when the worker has ended: on SIGTERM or SIGINT what it was asked for is still answered, for 5 s and unless a
 * second signal ends the process at once. The caller ends the process then. With `exitWithParent` it is killed when standard
 * input closes, which the parent holds open for as long as it lives: however the parent dies, SIGKILL included, no worker is left
 * behind.
 */
export async function untilStopped(
  worker: RunningWorker,
  { exitWithParent }: { exitWithParent: boolean },
  logger: Logger,
): Promise<void> {
  if (exitWithParent) {
    // Nobody is left to read an answer, nor the log: its pipe may be gone as well.
    process.stdin.once('close', killSelf).once('error', killSelf).resume();
  }
  await new Promise<void>((resolve) => {
    let firstSignalAt: number | null = null;
    const onSignal = () => {
      const now = performance.now();
      firstSignalAt ??= now;
      if (now - firstSignalAt > SAME_SIGNAL_MS) endProcess(worker, 130);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
  logger.info('worker is ending');
  await Promise.race([worker.close(), sleep(DRAIN_MS)]);
}

/** Exits the worker's process; one that still computes, and cannot exit, is killed. */
export function endProcess(worker: RunningWorker, code: number): never {
  if (worker.isComputing) killSelf();
  process.exit(code);
}

function killSelf(): void {
  process.kill(process.pid, 'SIGKILL');
}
