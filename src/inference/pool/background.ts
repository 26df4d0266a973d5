import { writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Steps by which it yields to this process and others, of 19 (`nice(1)`): beside whoever wants a processor as well it has a third of what they have. */
const NICE = 5;

/**
 * Has a process that was just started yield the processors to whoever else needs them. A worker computes for as long as there is
 * work; what takes requests in, books and answers them needs its moments at once, and everybody waits for it. Where the system does
 * not allow it, nothing changes.
 *
 * Linux shares time among sessions first (`sched(7)`, autogrouping), where a worker, which has one of its own, would have as much as
 * all of the API's threads and the database's together.
 */
export function runInBackground(pid: number): void {
  for (const yielding of [
    () => setPriority(pid, Math.min(19, getPriority() + NICE)),
    () => writeFileSync(`/proc/${pid}/autogroup`, String(NICE)),
  ]) {
    try {
      yielding();
    } catch {}
  }
}
