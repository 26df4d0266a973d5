import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** Runs a script of `test/support` with this Node; killed after the test where it still runs. */
export function script(name: string): string[] {
  const path = fileURLToPath(new URL(name, import.meta.url));
  return [process.execPath, '--disable-warning=ExperimentalWarning', path];
}

export function spawnScript(name: string, ...args: string[]): ChildProcess {
  return spawnScriptIn({}, name, ...args);
}

/** As `spawnScript`, with variables of its environment beside this one's. */
export function spawnScriptIn(
  environment: Readonly<Record<string, string>>,
  name: string,
  ...args: string[]
): ChildProcess {
  const [program, ...first] = script(name);
  const child = spawn(program!, [...first, ...args], {
    env: { ...process.env, ...environment },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return child;
}

/** The first line a process writes to standard output. */
export function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout!.on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    child.once('exit', (code) => reject(new Error(`the script ended with ${code}; it wrote: ${text}`)));
  });
}

export function exited(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.signalCode ?? child.exitCode);
    child.once('exit', (code, signal) => resolve(signal ?? code));
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // No such process.
  }
}
