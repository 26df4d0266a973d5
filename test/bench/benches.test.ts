import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

/** A bench as a command, so short that its figures mean nothing, with the built-in models. */
async function bench(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...args], {
    env: { ...process.env, FOVEA_TEST_DATA: '/nonexistent' },
  });
}

test('overload ends with one line of JSON whose figures fit each other', { timeout: 120_000 }, async () => {
  const { stdout, stderr } = await bench(
    'overload',
    ...'--seconds 1 --rounds 1 --deadline 5000 --json'.split(' '),
  );
  const result = JSON.parse(stdout);
  expect(result.model).toBe('shapes@1');
  const [before, after] = result.saturations;
  expect(result.loads.map(({ load }: { load: number }) => load)).toEqual([1, 3, 10]);
  for (const { goodput, overSaturation } of result.loads) {
    expect(overSaturation).toBeCloseTo(goodput / ((before + after) / 2));
  }
  const [{ figures }] = result.rounds[0];
  expect(figures.outcomes.ANSWERED).toBeGreaterThan(0);
  expect(stderr).toContain('round 1 of 1');
});

test('each bench says what it measures, and which options are wrong', async () => {
  const names = [
    ...['batching', 'cold-start', 'fairness', 'metering', 'noisy-neighbour', 'overhead', 'overload'],
    ...['revocation', 'soak', 'usage-queries'],
  ];
  for (const name of names)
    expect((await bench(name, '--help')).stdout).toContain(`npm run bench -- ${name}`);
  await expect(bench('overload', '--seconds', 'long')).rejects.toMatchObject({
    stderr: expect.stringContaining('--seconds: found long, wanted a number above 0.'),
  });
}, 60_000);
