import type { Lifetime } from '../lib/lifetime.ts';
import type { Logger } from '../lib/logger.ts';

/** The longest an orderly end may take; a second less, and whatever still runs is killed. */
const SHUTDOWN_MS = 10_000;
/**
 * Ctrl-C under `npm start` reaches this process twice, from the terminal and from npm: signals closer than this are one.
 */
const SAME_SIGNAL_MS = 500;

/**
 * Does `work`, and from now on ends the process in order when it is asked to: closes `lifetime`, whether `work` is done or
 * under way, and exits with `exitCode`. A second signal ends it at once.
 */
export async function endable<T>(
  lifetime: Lifetime,
  { logger, exitCode }: { logger: Logger; exitCode: number },
  work: () => Promise<T>,
): Promise<T> {
  let ending: Promise<never> | null = null;
  let firstSignalAt = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    const now = performance.now();
    if (ending === null) {
      firstSignalAt = now;
      logger.info({ signal }, 'stopping: finishing what is in flight');
      ending = end();
    } else if (now - firstSignalAt > SAME_SIGNAL_MS) {
      logger.warn({ signal }, 'stopping at once');
      lifetime.killNow();
      process.exit(130);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);

  const working = work();
  const end = async (): Promise<never> => {
    setTimeout(() => {
      logger.error(`not stopped after ${SHUTDOWN_MS / 1000} s: killing what still runs`);
      lifetime.killNow();
      process.exit(1);
    }, SHUTDOWN_MS - 1_000).unref();
    // What is being opened meanwhile is closed as soon as it is there.
    await Promise.allSettled([lifetime.close(), working]);
    process.exit((await lifetime.close()) ? exitCode : 1);
  };

  try {
    return await working;
  } catch (error) {
    // Once it has been asked to end, that is why it fails.
    if (ending !== null) await ending;
    throw error;
  }
}
