import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { script } from '../../support/processes.ts';

const folder = join(import.meta.dirname, '../../support/tls');
const certificate = join(folder, 'worker-cert.pem');

/** What a process that trusts the certificate, or does not, says of a worker. */
async function ask(trusts: boolean, ...args: string[]): Promise<string> {
  const [program, ...first] = script('ask-worker.ts');
  const env = { ...process.env, ...(trusts && { NODE_EXTRA_CA_CERTS: certificate }) };
  const child = spawn(program!, [...first, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  return Buffer.concat(await child.stdout.toArray())
    .toString()
    .trim();
}

/** A worker with a certificate for `localhost` and 127.0.0.1. */
async function serve(): Promise<number> {
  const key = readFileSync(join(folder, 'worker-key.pem'));
  const server = createServer({ cert: readFileSync(certificate), key }, (_, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

it('trusts a worker whose certificate NODE_EXTRA_CA_CERTS vouches for, and no other', async () => {
  const port = await serve();
  expect(await ask(true, `https://localhost:${port}`)).toBe('ready');
  expect(await ask(false, `https://localhost:${port}`)).toMatch(/TLS is refused: self.signed certificate/);
});

it('checks the certificate of a worker that was found by DNS against the name', async () => {
  const port = await serve();
  expect(await ask(true, `https://localhost:${port}`, '127.0.0.1')).toBe('ready');
  expect(await ask(true, `https://workers.example:${port}`, '127.0.0.1')).toMatch(
    /TLS is refused: .*workers\.example.*ERR_TLS_CERT_ALTNAME_INVALID/,
  );
});
