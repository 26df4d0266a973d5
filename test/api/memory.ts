import { readdirSync, readFileSync } from 'node:fs';

const pageBytes = 4096;

/** Watches what a process and all that it started hold resident, in bytes. Linux. */
export class MemoryWatch {
  readonly #rootPid: number;
  readonly #timer: NodeJS.Timeout;
  #peak = 0;

  constructor(rootPid: number, everyMs = 50) {
    this.#rootPid = rootPid;
    this.#timer = setInterval(() => this.look(), everyMs);
  }

  /**
   * The most that was seen until now. Pages that processes share, as PostgreSQL's do, count once for each: the sum is more than
   * what is taken, never less.
   */
  get peak(): number {
    return this.#peak;
  }

  /** The process numbers that are watched at this moment. */
  look(): number[] {
    const tree = processTree(this.#rootPid);
    const bytes = tree.reduce((sum, { pages }) => sum + pages * pageBytes, 0);
    this.#peak = Math.max(this.#peak, bytes);
    return tree.map(({ pid }) => pid);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

interface FoundProcess {
  readonly pid: number;
  readonly parent: number;
  readonly pages: number;
}

function processTree(rootPid: number): FoundProcess[] {
  const byParent = Map.groupBy(
    readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? readProcess(name) : [])),
    ({ parent, pid }) => (pid === rootPid ? 'root' : parent),
  );
  const tree = [...(byParent.get('root') ?? [])];
  for (const { pid } of tree) tree.push(...(byParent.get(pid) ?? []));
  return tree;
}

/** Nothing for one that has just ended. */
function readProcess(pid: string): FoundProcess[] {
  try {
    // Behind the command, which stands in parentheses and may hold anything: state, parent, and 22nd the resident pages.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return [{ pid: Number(pid), parent: Number(fields[1]), pages: Number(fields[21]) }];
  } catch {
    return [];
  }
}
