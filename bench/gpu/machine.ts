import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { version } from '../../src/lib/version.ts';

export interface Machine {
  readonly cpu: string;
  readonly threads: number;
  readonly memoryGiB: number;
  /** As `nvidia-smi` lists them: name, driver, memory. */
  readonly gpus: readonly string[];
  /** Files that name drivers for Vulkan; what the loader finds is one of them. */
  readonly vulkanDrivers: readonly string[];
  readonly node: string;
  readonly fovea: string;
}

export function describeMachine(): Machine {
  const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'];
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' });
  const named = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  const folders = ['/etc/vulkan/icd.d', '/usr/share/vulkan/icd.d'];
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    threads: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    gpus: status === 0 ? stdout.trim().split('\n') : [],
    vulkanDrivers: named ? named.split(':') : folders.flatMap(filesIn),
    node: process.version,
    fovea: version,
  };
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => `${folder}/${name}`);
  } catch {
    return []; // No such folder: no driver there.
  }
}
