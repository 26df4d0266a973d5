import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { findNvidiaGpus } from './nvidia-gpus.ts';
import { deviceName, isNvidia, type Provider } from './provider.ts';

/** Whether a provider computes here, as shown by running a graph on it. */
export type Probe =
  | { readonly provider: Provider; readonly works: true; readonly devices: readonly ProbedDevice[] }
  | { readonly provider: Provider; readonly works: false; readonly reason: string };

export interface ProbedDevice {
  /** As receipts name it. */
  readonly device: string;
  /** As its maker does; null where nothing tells. */
  readonly name: string | null;
  /** How far from the CPU its answer is, in shares of the largest score. */
  readonly distance: number;
}

const PATIENCE_MS = 120_000;
const script = fileURLToPath(new URL('./probe-process.ts', import.meta.url));

/**
 * Runs a small graph with the provider, on each device it has: in a process of its own, since a driver may take its process
 * down, hang, or keep a device's memory.
 */
export async function probeProvider(provider: Provider): Promise<Probe> {
  const gpus = isNvidia(provider) ? await findNvidiaGpus() : [{ name: null }];
  // Without a GPU in sight it is tried all the same: the runtime knows best what it lacks.
  const ids = gpus.length > 0 ? gpus.map((_, index) => index) : [0];
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, provider, ids.join(',')],
    { stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS, killSignal: 'SIGKILL' },
  );
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      written[stream] += text;
    });
  }
  const [code, signal] = await once(child, 'close');
  const told = readAnswer(written.stdout);
  const failed = (reason: string): Probe => ({ provider, works: false, reason });
  if (told === null) {
    const how =
      signal === 'SIGKILL' ? `did not end within ${PATIENCE_MS / 1000} s` : `ended with ${signal ?? code}`;
    return failed(`the process that tried it ${how}: ${lastLine(written.stderr)}`);
  }
  if (typeof told === 'string') return failed([told, detail(written.stderr)].filter(Boolean).join(': '));
  const devices = told.map((distance, index) => ({
    device: deviceName(provider, index),
    name: gpus[index]?.name ?? null,
    distance,
  }));
  return { provider, works: true, devices };
}

/** A distance a device, or why it does not work; null where the process did not come to tell. */
function readAnswer(stdout: string): number[] | string | null {
  try {
    return JSON.parse(lastLine(stdout)) as number[] | string;
  } catch {
    return null;
  }
}

/** Which library or driver could not be opened is written to standard error alone, by ONNX Runtime and by Dawn. */
function detail(stderr: string): string | undefined {
  return /(?:with error|^Warning): (.*?)[!.]?$/m.exec(stderr)?.[1];
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
