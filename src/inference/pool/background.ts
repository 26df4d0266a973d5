import { writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Steps by which it yields to this process and others, of 19 (`nice(1)`): beside one that is as busy it has a third of its time. */
const NICE = 5;
/** Linux lets sessions be set so often where nobody is privileged. */
const AGAIN_MS = 150;

/**
 * Has a process that was just started yield the processors to whoever else needs them. A worker computes for as long as there is
 * work; what takes requests in, books and answers them needs its moments at once, and everybody waits for it. Where the system does
 * not allow it, nothing changes.
 *
 * Outside of containers Linux shares time among sessions first (`sched(7)`, autogrouping), where a worker, which has one of its own,
 * would have as much as all of the API's threads and the database's together.
 */
export function runInBackground(pid: number): void {
  try {
    setPriority(pid, Math.min(19, getPriority() + NICE));
  } catch {}
  if (!yieldSession(pid)) setTimeout(yieldSession, AGAIN_MS, pid).unref();
}

function yieldSession(pid: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(NICE));
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EAGAIN';
  }
}
