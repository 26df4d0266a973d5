import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from 'undici';
import type { Task } from '../src/inference/variant.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
export const node = [process.execPath, '--disable-warning=ExperimentalWarning'] as const;

export interface Service {
  readonly url: string;
  readonly dataDir: string;
  stop(): Promise<void>;
}

/** The service as `npm start` runs it, in a data directory of its own, with `settings` of its own. */
export async function startService(
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Service> {
  const [program, ...flags] = node;
  const child: ChildProcess = spawn(program, [...flags, main, 'start', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PORT: '0',
      FOVEA_DATA_DIR: dataDir,
      FOVEA_LOG_LEVEL: 'warn',
      // The pictures come again and again, and each is to be run.
      FOVEA_CACHE_BYTES: '0',
      ...settings,
    },
  });
  for await (const line of createInterface({ input: child.stdout! })) {
    const event = JSON.parse(line) as { event: string; url?: string };
    if (event.event === 'ready') {
      const stop = async () => {
        child.kill('SIGTERM');
        await once(child, 'exit');
      };
      return { url: event.url!, dataDir, stop };
    }
  }
  throw new Error('the service ended before it was ready');
}

export function fovea(dataDir: string, ...args: string[]): string {
  const [program, ...flags] = node;
  return execFileSync(program, [...flags, main, ...args], {
    encoding: 'utf8',
    env: { ...process.env, FOVEA_DATA_DIR: dataDir },
  });
}

/** Keys of up to eight tenants for `clients`: the largest plan's rate limit is far below what a large machine answers. */
export function createKeys(dataDir: string, clients: number): string[] {
  return Array.from({ length: Math.min(8, clients) }, (_, index) => {
    fovea(dataDir, 'tenants', 'create', '--name', `tenant ${index}`, '--plan', 'Scale');
    return fovea(dataDir, 'keys', 'create', '--tenant', `tenant ${index}`).trim();
  });
}

export function artifactOf(dataDir: string, model: string): string {
  const models = JSON.parse(fovea(dataDir, 'models', 'list', '--json')) as {
    name: string;
    version: number;
    variants: { compression: string; artifactSha256: string }[];
  }[];
  const { artifactSha256: sha256 } = models
    .find(({ name, version }) => `${name}@${version}` === model)!
    .variants.find(({ compression }) => compression === 'NONE')!;
  return join(dataDir, 'artifacts', 'sha256', sha256.slice(0, 2), sha256);
}

const fields: Readonly<Record<Task, string>> = {
  CLASSIFY: '... on Classification { labels { label score } }',
  DETECT: '... on Detection { objects { label score box { x y width height } } }',
  SEGMENT: '... on Segmentation { segments { label areaFraction } }',
};

/** A GraphQL request about one picture. */
export function requestBody(task: Task, model: string, jpeg: Buffer): Buffer {
  const field = task.toLowerCase();
  const input = `${field[0]!.toUpperCase()}${field.slice(1)}Input!`;
  const query = `mutation($input: ${input}) { ${field}(input: $input) { results { __typename ${fields[task]} } receipt { units } } }`;
  const images = [{ base64: jpeg.toString('base64') }];
  return Buffer.from(JSON.stringify({ query, variables: { input: { model, images } } }));
}

/** Has `clients` ask one request after the other. @returns images answered per second */
export async function load(
  url: string,
  keys: readonly string[],
  bodies: readonly Buffer[],
  clients: number,
  seconds: number,
): Promise<number> {
  const started = performance.now();
  let images = 0;
  let next = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, index) => {
      const key = keys[index % keys.length]!;
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
      const client = new Client(url);
      while (performance.now() - started < seconds * 1000) {
        const body = bodies[next++ % bodies.length]!;
        const response = await client.request({ method: 'POST', path: '/graphql', headers, body });
        const text = await response.body.text();
        if (!/"__typename":"(Classification|Detection|Segmentation)"/.test(text))
          throw new Error(`the service answered ${response.statusCode}: ${text}`);
        images += 1;
      }
      await client.close();
    }),
  );
  return (images / (performance.now() - started)) * 1000;
}

export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
