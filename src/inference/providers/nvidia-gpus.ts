import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';

export interface NvidiaGpu {
  /** As the driver calls it, e.g. `NVIDIA L4`; null where only its device file tells of it. */
  readonly name: string | null;
}

/** Where a machine tells of its GPUs. A container may show the device files and have no nvidia-smi. */
export interface NvidiaSources {
  readonly smi: string;
  /** Holds a folder a GPU. */
  readonly proc: string;
  /** Holds nvidia0, nvidia1, … */
  readonly dev: string;
}

const sources: NvidiaSources = { smi: 'nvidia-smi', proc: '/proc/driver/nvidia/gpus', dev: '/dev' };

/**
 * The GPUs that CUDA will show a process of this environment, in its order: its devices 0, 1, … Those that
 * `CUDA_VISIBLE_DEVICES` leaves out are not among them, as CUDA reads it: up to the first entry that names none.
 */
export async function findNvidiaGpus(
  { CUDA_VISIBLE_DEVICES: visible }: NodeJS.ProcessEnv = process.env,
  { smi, proc, dev }: NvidiaSources = sources,
): Promise<readonly NvidiaGpu[]> {
  const gpus =
    (await listedBy(smi)) ?? (await namesIn(proc, /./)) ?? (await namesIn(dev, /^nvidia\d+$/)) ?? [];
  if (visible === undefined) return gpus;
  const entries = visible.split(',').map((entry) => entry.trim());
  const shown = entries.map((entry) =>
    gpus.find(({ uuid }, index) => entry === String(index) || (entry.length > 4 && uuid?.startsWith(entry))),
  );
  const end = shown.indexOf(undefined);
  return (end === -1 ? shown : shown.slice(0, end)).filter((gpu) => gpu !== undefined);
}

interface Found extends NvidiaGpu {
  readonly uuid: string | null;
}

/** null where it does not run: no driver, or a container without its tools. */
async function listedBy(smi: string): Promise<Found[] | null> {
  try {
    const { stdout } = await promisify(execFile)(smi, ['-L'], { timeout: 20_000 });
    const lines = stdout.matchAll(/^GPU \d+: (?<name>.+?) \(UUID: (?<uuid>[^)]+)\)$/gm);
    return [...lines].map(({ groups }) => ({ name: groups!.name!, uuid: groups!.uuid! }));
  } catch {
    return null;
  }
}

/** null where there is no such folder, or nothing of that name in it. */
async function namesIn(folder: string, wanted: RegExp): Promise<Found[] | null> {
  const names = await readdir(folder).catch(() => []);
  const found = names.filter((name) => wanted.test(name)).map(() => ({ name: null, uuid: null }));
  return found.length > 0 ? found : null;
}
