import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { workerEnvironment } from '../pool/worker-environment.ts';
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
 * Runs a small graph with the provider, on each device it has, each in a process of its own: a driver may take its process
 * down, hang, or keep a device's memory.
 */
export async function probeProvider(provider: Provider): Promise<Probe> {
  const gpus = isNvidia(provider) ? await findNvidiaGpus() : [];
  // Without a GPU in sight it is tried all the same: the runtime knows best what it lacks.
  const names = gpus.length > 0 ? gpus.map(({ name }) => name) : [null];
  const told = await Promise.all(names.map((_, deviceId) => tryDevice(provider, deviceId)));
  const reason = told.find((each) => typeof each === 'string');
  if (reason !== undefined) return { provider, works: false, reason };
  const devices = names.map((name, deviceId) => ({
    ...{ device: deviceName(provider, deviceId), name },
    distance: told[deviceId] as number,
  }));
  return { provider, works: true, devices };
}

/** How far from the CPU's its answer is, or why there is none. */
async function tryDevice(provider: Provider, deviceId: number): Promise<number | string> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, provider, String(deviceId)],
    {
      // As a worker has it: what a driver is found by there must be what it was found by here.
      env: workerEnvironment(process.env),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
    },
  );
  const written = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      written[stream] += text;
    });
  }
  const [code, signal] = await once(child, 'close');
  const told = readAnswer(written.stdout);
  if (told === null) {
    const how =
      signal === 'SIGKILL' ? `did not end within ${PATIENCE_MS / 1000} s` : `ended with ${signal ?? code}`;
    return `the process that tried it ${how}: ${lastLine(written.stderr)}`;
  }
  return typeof told === 'string' ? [told, detail(written.stderr)].filter(Boolean).join(': ') : told;
}

/** null where the process did not come to tell. */
function readAnswer(stdout: string): number | string | null {
  try {
    return JSON.parse(lastLine(stdout)) as number | string;
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
