import { readdirSync, readFileSync } from 'node:fs';

/** Of a kernel's ticks, in which Linux tells processor time. */
const TICK_MS = 10;

const programs = {
  'load generator': /load\/generator\.ts/,
  API: /main\.ts\0start\0/,
  worker: /main\.ts\0worker\0/,
  PostgreSQL: /postgres/,
} as const;

export type CpuTimes = Readonly<Partial<Record<keyof typeof programs, number>>>;

/**
 * Processor time that the processes below this one have used so far, milliseconds, by what they are. Empty where there is no
 * `/proc`.
 */
export function cpuTimes(): CpuTimes {
  const times: Partial<Record<keyof typeof programs, number>> = {};
  for (const { pid, ms, endedMs } of descendants()) {
    const command = read(`/proc/${pid}/cmdline`) ?? '';
    const name = (Object.keys(programs) as (keyof typeof programs)[]).find((each) =>
      programs[each].test(command),
    );
    if (name === undefined) continue;
    // A server's processes come and go, each a child of the first.
    times[name] = (times[name] ?? 0) + ms + (name === 'PostgreSQL' ? endedMs : 0);
  }
  return times;
}

/** What was used from `before` to `after`, over `images`. */
export function cpuMsPerImage(before: CpuTimes, after: CpuTimes, images: number): CpuTimes {
  return Object.fromEntries(
    Object.entries(after).map(([name, ms]) => [name, (ms - (before[name as keyof CpuTimes] ?? 0)) / images]),
  );
}

/** `endedMs`: of its children that have ended. */
function descendants(): { pid: number; ms: number; endedMs: number }[] {
  const processes = listed('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== null);
  const ours = new Set([process.pid]);
  // A child's number need not be above its parent's, so until no more are found.
  for (let known = 0; known < ours.size; ) {
    known = ours.size;
    for (const { pid, parent } of processes) if (ours.has(parent)) ours.add(pid);
  }
  return processes.filter(({ pid }) => ours.has(pid));
}

function statOf(pid: number): { pid: number; parent: number; ms: number; endedMs: number } | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // Its name, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (first: number) => Number(fields[first]) + Number(fields[first + 1]);
  return { pid, parent: Number(fields[1]), ms: ticks(11) * TICK_MS, endedMs: ticks(13) * TICK_MS };
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not Linux.
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // It has just ended.
  }
}
