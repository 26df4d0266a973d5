import { readdirSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Steps by which a worker yields to others, of 19 (`nice(1)`): beside one process that is as busy it has a third of its time. */
const WORKER_NICE = 5;
/** A tenth of its time, for each thread. */
const COMMAND_NICE = 10;
/** Linux lets sessions be set so often where nobody is privileged. */
const AGAIN_MS = 150;

/**
 * Has a worker process that was just started yield the processors to whoever else needs them. It computes for as long as there is
 * work; what takes requests in, books and answers them needs its moments at once, and everybody waits for it. Where the system does
 * not allow it, nothing changes.
 *
 * Outside of containers Linux shares time among sessions first (`sched(7)`, autogrouping), where a worker, which has one of its own,
 * would have as much as all of the API's threads and the database's together.
 */
export function yieldWorker(pid: number): void {
  lower(pid, WORKER_NICE);
  if (!yieldSession(pid)) setTimeout(yieldSession, AGAIN_MS, pid).unref();
}

/**
 * Has this process, a command that computes for seconds, yield to a service that may run beside it: its threads took turns with the
 * service's event loop, which was late by tens of milliseconds meanwhile. Its session may be the service's own, and is left alone.
 */
export function yieldCommand(): void {
  lower(process.pid, COMMAND_NICE);
}

function lower(pid: number, steps: number): void {
  try {
    const priority = Math.min(19, getPriority() + steps);
    for (const thread of threadsOf(pid)) setPriority(thread, priority);
  } catch {}
}

/** On Linux each thread has a priority of its own (`setpriority(2)`): those that are there do not follow the first. */
function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid];
  }
}

function yieldSession(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(WORKER_NICE));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EAGAIN';
  }
}
