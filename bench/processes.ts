import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const node = [process.execPath, '--disable-warning=ExperimentalWarning'] as const;
const run = promisify(execFile);

/** Where a command finds the installation it works on. */
export type Environment = Readonly<Record<string, string>>;

/** A server that a bench started. */
export interface Started {
  readonly url: string;
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Starts a program that tells on standard output where it listens: a line of JSON with `url` or `address`. */
export async function startProgram(
  command: readonly string[],
  environment: Environment = {},
): Promise<Started> {
  const [program, ...args] = command;
  const child = spawn(program!, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1', ...environment },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const told = JSON.parse(line) as { event?: string; url?: string; address?: string };
    const url = told.url ?? told.address;
    if (url !== undefined) {
      child.stdout.resume();
      return { url, child, stop: () => stop(child) };
    }
  }
  throw new Error(`${command.join(' ')} ended before it listened`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

/** A file of ours as a program. */
export function script(path: string, ...args: string[]): string[] {
  return [...node, fileURLToPath(new URL(path, import.meta.url)), ...args];
}

/** The service as `npm start` runs it, on any free port; `environment` says where and with which settings. */
export function startApi(environment: Environment): Promise<Started> {
  // With what `npm start` sets.
  return startProgram([...node, '--min-semi-space-size=16', main, 'start', '--json'], {
    PORT: '0',
    FOVEA_LOG_LEVEL: 'warn',
    MALLOC_ARENA_MAX: '2',
    // Pictures come again and again, and each is to be run.
    FOVEA_CACHE_BYTES: '0',
    ...environment,
  });
}

/** A `fovea worker` that several API processes may share. */
export function startWorker(environment: Environment): Promise<Started> {
  return startProgram([...node, main, 'worker', '--listen', '127.0.0.1:0', '--json'], {
    FOVEA_LOG_LEVEL: 'warn',
    ...environment,
  });
}

/** A command of `fovea`, to its end. @returns what it printed */
export async function command(environment: Environment, ...args: string[]): Promise<string> {
  const [program, ...flags] = node;
  const { stdout } = await run(program, [...flags, main, ...args], {
    env: { ...process.env, ...environment },
  });
  return stdout;
}
