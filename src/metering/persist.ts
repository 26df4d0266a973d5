import { setTimeout as pause } from 'node:timers/promises';
import { isPassing } from './failures.ts';

/**
 * Makes `attempt` until it succeeds, fails for a reason of its own, or the database has been away for `patienceMs`; throws what
 * the last attempt threw. There are two attempts at least, since one alone may take longer than that to be given up. `again`:
 * an earlier attempt broke off, and may have been carried out.
 */
export async function persist<T>(patienceMs: number, attempt: (again: boolean) => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  let again = false;
  for (let delayMs = 10; ; delayMs = Math.min(delayMs * 2, 500)) {
    try {
      return await attempt(again);
    } catch (error) {
      if (!isPassing(error) || (again && performance.now() + delayMs > giveUpAt)) throw error;
    }
    again = true;
    await pause(delayMs);
  }
}
