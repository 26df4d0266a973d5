import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { findProgram } from './find-program.ts';

/** Where a Chromium is, or null: what needs one is skipped and says so in its name. */
export const chromium = findProgram(['chromium', 'chromium-browser', 'google-chrome']);

export interface Site {
  /** As a browser sends it. */
  readonly origin: string;
  /** Opens a page in a browser and answers what `script`, the body of an async function, answers there; its exception's text. */
  run(script: string): Promise<unknown>;
}

/** A site of its own origin, until the test ends. */
export async function openSite(): Promise<Site> {
  const scripts: string[] = [];
  let tell: (outcome: unknown) => void = () => {};
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      let text = '';
      for await (const chunk of request.setEncoding('utf8')) text += chunk;
      response.end();
      tell(JSON.parse(text));
    } else {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(request.url === '/' ? page(scripts.at(-1) ?? '') : '');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    async run(script) {
      scripts.push(script);
      const told = new Promise((resolve) => {
        tell = resolve;
      });
      const browser = open(`${origin}/`);
      try {
        return await Promise.race([told, ended(browser)]);
      } finally {
        await stop(browser);
      }
    },
  };
}

function page(script: string): string {
  return `<!doctype html><title>a page</title><script type="module">
    const outcome = await (async () => { ${script} })().catch((error) => String(error));
    await fetch('/', { method: 'POST', body: JSON.stringify(outcome) });
  </script>`;
}

function open(url: string): ChildProcess {
  const profile = mkdtempSync(join(tmpdir(), 'fovea-browser-'));
  onTestFinished(() => rmSync(profile, { recursive: true, force: true, maxRetries: 10 }));
  const flags = ['--headless', '--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`];
  // Its sandbox does not work as root, nor in most containers; the page is ours.
  return spawn(chromium!, [...flags, '--no-sandbox', '--disable-dev-shm-usage', url], {
    stdio: 'ignore',
    detached: true,
  });
}

async function ended(browser: ChildProcess): Promise<never> {
  const [code, signal] = await once(browser, 'exit');
  throw new Error(`the browser ended with ${code ?? signal} before the page told anything`);
}

/** With the processes that it has started. */
async function stop(browser: ChildProcess): Promise<void> {
  if (browser.exitCode !== null || browser.signalCode !== null) return;
  const gone = once(browser, 'exit');
  process.kill(-browser.pid!, 'SIGKILL');
  await gone;
}
