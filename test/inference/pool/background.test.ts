import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, it, onTestFinished, vi } from 'vitest';
import { runInBackground } from '../../../src/inference/pool/background.ts';

function started(): { pid: number; ended: Promise<unknown> } {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    detached: true,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return { pid: child.pid!, ended };
}

it('has a process yield to others, and its session where sessions share the time', async () => {
  const { pid } = started();
  runInBackground(pid);
  expect(getPriority(pid)).toBe(Math.min(19, getPriority() + 5));
  const session = `/proc/${pid}/autogroup`;
  if (!existsSync(session)) return;
  await vi.waitFor(() => {
    // Others may have been set just now.
    runInBackground(pid);
    expect(readFileSync(session, 'utf8')).toMatch(/ nice 5\n$/);
  }, 10_000);
});

it('does not mind a process that has ended', async () => {
  const { pid, ended } = started();
  process.kill(pid, 'SIGKILL');
  await ended;
  runInBackground(pid);
});
