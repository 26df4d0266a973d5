import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished, vi } from 'vitest';
import type { ComposeService } from './compose-file.ts';
import { readImage } from './dockerfile.ts';

export interface Container {
  /** What it has written so far. */
  output(): string;
  /** Waits until it has written what `pattern` matches, and answers the first group. */
  says(pattern: RegExp): Promise<string>;
}

/**
 * What the Dockerfile makes, without a container engine: a folder with the files it copies and the packages that an
 * install without development tools holds, whose services run as processes of this machine.
 */
export function stageImage(root: string): {
  /** Starts a service with its command and settings, where `places` says what stands for what only containers have. */
  run(service: ComposeService, places: Readonly<Record<string, string>>): Container;
} {
  const { copied, entrypoint, environment } = readImage(join(root, 'Dockerfile'));
  const folder = mkdtempSync(join(tmpdir(), 'fovea-image-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  const workdir = join(folder, 'opt');
  const data = join(folder, 'data');
  mkdirSync(data);
  for (const { from, to } of copied) cpSync(join(root, from), join(workdir, to), { recursive: true });
  linkPackages(root, workdir);

  return {
    run(service, places) {
      const replacements = { '/var/lib/fovea': data, ...places };
      // In one pass, so that what is put in is not replaced once more.
      const wanted = Object.keys(replacements).map((place) => place.replaceAll('.', '\\.'));
      const here = (text: string) =>
        text.replaceAll(
          new RegExp(wanted.join('|'), 'g'),
          (place) => replacements[place as keyof typeof replacements],
        );
      const [program, ...first] = entrypoint;
      const settings = Object.entries({ ...environment, ...service.environment });
      const child = spawn(
        program === 'node' ? process.execPath : program!,
        [...first, ...(service.command ?? []).map(here)],
        {
          cwd: workdir,
          env: {
            PATH: process.env.PATH,
            ...Object.fromEntries(settings.map(([name, text]) => [name, here(text)])),
          },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      onTestFinished(() => end(child));
      return listenTo(child);
    },
  };
}

/** The packages of `npm ci --omit=dev`: one that only development needs is not found by what the image runs. */
function linkPackages(root: string, workdir: string): void {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: true }>;
  };
  for (const [path, { dev }] of Object.entries(packages)) {
    if (dev || !/^node_modules\/(@[^/]+\/)?[^/]+$/.test(path)) continue;
    mkdirSync(dirname(join(workdir, path)), { recursive: true });
    symlinkSync(join(root, path), join(workdir, path)); // Dangling where it is for another platform.
  }
}

function listenTo(child: ChildProcess): Container {
  let written = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      written += chunk;
    });
  }
  return {
    output: () => written,
    says: (pattern) =>
      vi.waitUntil(
        () => {
          if (hasEnded(child)) throw new Error(`it ended before it said ${pattern}: ${written}`);
          return pattern.exec(written)?.[1];
        },
        { timeout: 60_000, interval: 50 },
      ),
  };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  const deadline = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await once(child, 'exit');
  clearTimeout(deadline);
}
