import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished, vi } from 'vitest';
import { lowerWorkerPriority } from '../../src/lib/priority.ts';

const module = new URL('../../src/lib/priority.ts', import.meta.url).href;

function started(code: string) {
  const child = spawn(process.execPath, ['--input-type=module', '--no-warnings', '-e', code], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const ready = once(createInterface({ input: child.stdout }), 'line');
  return { pid: child.pid!, ready, ended };
}

const idle = "console.log('ready'); setInterval(() => {}, 1000)";

/** Of each thread where they have some of their own. */
function prioritiesOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  const threads = existsSync(tasks) ? readdirSync(tasks).map(Number) : [pid];
  return [...new Set(threads.map((thread) => getPriority(thread)))];
}

const lowered = Math.min(19, getPriority() + 5);

it('lowers the priority of each thread of a worker, and of its session where sessions share the time', async () => {
  const { pid, ready } = started(idle);
  await ready;
  lowerWorkerPriority(pid);
  expect(prioritiesOf(pid)).toEqual([lowered]);
  const session = `/proc/${pid}/autogroup`;
  if (!existsSync(session)) return;
  await vi.waitFor(() => {
    // Others may have been set just now.
    lowerWorkerPriority(pid);
    expect(readFileSync(session, 'utf8')).toMatch(/ nice 5\n$/);
  }, 10_000);
});

it('does not mind a worker that has ended', async () => {
  const { pid, ended } = started(idle);
  process.kill(pid, 'SIGKILL');
  await ended;
  lowerWorkerPriority(pid);
});

it('lowers the priority of each thread of this process, but not of its session', async () => {
  const { pid, ready } = started(`import { lowerOwnPriority } from '${module}'; lowerOwnPriority(); ${idle}`);
  await ready;
  expect(prioritiesOf(pid)).toEqual([lowered]);
  const session = `/proc/${pid}/autogroup`;
  if (existsSync(session)) expect(readFileSync(session, 'utf8')).toMatch(/ nice 0\n$/);
});
