import type { Logger } from './logger.ts';

export interface Repeating {
  /** Resolves when no run is under way and none will come. */
  stop(): Promise<void>;
}

/**
 * Runs `work` every `intervalMs`, counted from the end of the run before. A failure is logged and the next run tries again: what
 * is repeated here is upkeep, which may come late and must not end the process.
 */
export function repeat(
  name: string,
  intervalMs: number,
  work: () => Promise<void>,
  logger: Logger,
): Repeating {
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  let timer = setTimeout(run, intervalMs).unref();

  function run() {
    running = work()
      .catch((error: unknown) =>
        logger.warn({ err: error }, `${name} failed, to be tried again in ${intervalMs} ms`),
      )
      .then(() => {
        if (!stopped) timer = setTimeout(run, intervalMs).unref();
      });
  }

  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
