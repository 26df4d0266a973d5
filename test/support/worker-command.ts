import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { artifactFolder } from './artifact-folder.ts';
import { firstLine } from './processes.ts';

const main = resolve(import.meta.dirname, '../../src/main.ts');

/** The program and arguments of `fovea worker` on a free port. */
export function workerCommand(...args: string[]): [program: string, args: string[]] {
  const first = ['--disable-warning=ExperimentalWarning', main, 'worker', '--listen', '127.0.0.1:0'];
  return [process.execPath, [...first, ...args]];
}

/** `fovea worker` as an operator starts it, with an artefact folder of its own; killed after the test. */
export async function startWorkerCommand(
  options: { args?: readonly string[]; env?: Readonly<Record<string, string>> } = {},
) {
  const artifacts = artifactFolder();
  const args = ['--artifacts', artifacts.dir, '--threads', '1', ...(options.args ?? [])];
  const env = { PATH: process.env.PATH, FOVEA_LOG_LEVEL: 'fatal', ...options.env };
  const child = spawn(...workerCommand(...args), { env, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [, address] = /^fovea worker ready (\S+)$/.exec(await firstLine(child)) ?? [];
  if (address === undefined) throw new Error('the worker did not say where it listens');
  return { address, child, artifacts };
}
