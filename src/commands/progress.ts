import type { OutputOptions } from './output.ts';

/** Shorter waits need no explanation. */
const SILENT_MS = 2_000;

/** What a person is told who waits for a command. */
export interface Progress {
  /** What the command is at from now on. */
  tell(step: string): void;
  end(): void;
}

/** Tells on standard error what a command is at once it takes longer than two seconds. A program (`--json`) is told nothing. */
export function progress({ json }: OutputOptions): Progress {
  if (json) return { tell: () => {}, end: () => {} };
  let current: string | null = null;
  let talks = false;
  const say = () => {
    if (current !== null) process.stderr.write(`${current} …\n`);
  };
  const timer = setTimeout(() => {
    talks = true;
    say();
  }, SILENT_MS);
  return {
    tell(step) {
      current = step;
      if (talks) say();
    },
    end: () => clearTimeout(timer),
  };
}
