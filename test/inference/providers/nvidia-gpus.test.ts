import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { findNvidiaGpus } from '../../../src/inference/providers/nvidia-gpus.ts';

const listing = `GPU 0: NVIDIA L4 (UUID: GPU-aaaa1111-0000)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-bbbb2222-0000)
  MIG 1g.10gb     Device  0: (UUID: MIG-cccc3333-0000)
GPU 2: NVIDIA L4 (UUID: GPU-dddd4444-0000)
`;

/** A machine that tells of its GPUs as the driver does. */
function machine({ smi = null as string | null, proc = 0, dev = [] as string[] }) {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-gpus-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const sources = { smi: join(folder, 'smi'), proc: join(folder, 'proc'), dev: join(folder, 'dev') };
  if (smi !== null) {
    writeFileSync(sources.smi, `#!/bin/sh\n[ "$1" = -L ] || exit 1\ncat <<'END'\n${smi}END\n`);
    chmodSync(sources.smi, 0o755);
  }
  for (let index = 0; index < proc; index++)
    mkdirSync(join(sources.proc, `0000:0${index}:00.0`), { recursive: true });
  mkdirSync(sources.dev);
  for (const name of dev) writeFileSync(join(sources.dev, name), '');
  return (environment: NodeJS.ProcessEnv = {}) => findNvidiaGpus(environment, sources);
}

it('names those that nvidia-smi lists, without their parts', async () => {
  const found = await machine({ smi: listing })();
  expect(found.map(({ name }) => name)).toEqual(['NVIDIA L4', 'NVIDIA H100 80GB HBM3', 'NVIDIA L4']);
});

it('counts them in /proc or /dev where a container has no nvidia-smi', async () => {
  expect(await machine({ proc: 2 })()).toHaveLength(2);
  const dev = ['nvidia0', 'nvidia1', 'nvidia3', 'nvidiactl', 'nvidia-uvm', 'nvram', 'sda'];
  expect(await machine({ dev })()).toHaveLength(3);
  expect(await machine({ dev: ['nvidiactl'] })()).toEqual([]);
  expect(await machine({})()).toEqual([]);
});

it.each([
  ['', []],
  ['-1', []],
  ['2,1', ['NVIDIA L4', 'NVIDIA H100 80GB HBM3']],
  ['GPU-bbbb2222-0000', ['NVIDIA H100 80GB HBM3']],
  ['GPU-bbbb', ['NVIDIA H100 80GB HBM3']],
  ['0, 2', ['NVIDIA L4', 'NVIDIA L4']],
  ['1,-1,0', ['NVIDIA H100 80GB HBM3']],
  ['1,9,0', ['NVIDIA H100 80GB HBM3']],
])('with CUDA_VISIBLE_DEVICES=%j they are those it shows, in its order', async (visible, names) => {
  const found = await machine({ smi: listing })({ CUDA_VISIBLE_DEVICES: visible });
  expect(found.map(({ name }) => name)).toEqual(names);
});
