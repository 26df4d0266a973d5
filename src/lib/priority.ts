import { readdirSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Steps lower than this process began with, of 19 (`nice(1)`): beside a thread that is as busy, a third of its time. */
const STEPS = 5;
const lowered = Math.min(19, getPriority() + STEPS);
/** Linux lets sessions be set so often where nobody is privileged. */
const AGAIN_MS = 150;

/**
 * Lowers the priority of a worker process that was just started. It computes for as long as there is work; what takes requests in,
 * books and answers them needs its moments at once, and everybody waits for it. Where the system does not allow it, nothing changes.
 *
 * Outside of containers Linux shares time among sessions first (`sched(7)`, autogrouping), where a worker, which has one of its own,
 * would have as much as all of the API's threads and the database's together.
 */
export function lowerWorkerPriority(pid: number): void {
  lower(pid);
  if (!lowerSession(pid)) setTimeout(lowerSession, AGAIN_MS, pid).unref();
}

/**
 * Lowers the priority of this process, a command that computes for seconds: beside a service each of its threads would take turns
 * with the service's event loop. Its session is its user's, who has the service in it perhaps, and is left alone: where Linux shares
 * time among sessions first, a command from another one takes its session's part.
 */
export function lowerOwnPriority(): void {
  lower(process.pid);
}

function lower(pid: number): void {
  for (const thread of threadsOf(pid)) {
    try {
      setPriority(thread, lowered);
    } catch {} // It has ended, or may not be set: it keeps what it has.
  }
}

/** On Linux each thread has a priority of its own (`setpriority(2)`), which those that it starts later begin with. */
function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid];
  }
}

function lowerSession(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(STEPS));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EAGAIN';
  }
}
