import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';
import {
  clientOf,
  installation,
  installed,
  patience,
  pidOf,
  pidsOf,
  processesOf,
  type RunningServer,
  ready,
} from './installation.ts';

const PRINCIPAL = '{ viewer { principal tenant { name } } }';

async function takePort(port: number): Promise<number> {
  const server = createServer();
  const taken = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)); // Somebody else has it: as good.
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (!taken) return port;
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

async function expectServing(server: RunningServer, key = server.key): Promise<void> {
  const client = new GraphqlClient(server.url, key);
  const { errors } = await client.classify({ images: { base64: examplePicture() } });
  expect(errors).toEqual([]);
}

describe('settings', () => {
  it('are refused with every fault at once, secrets unseen, and nothing is made', async () => {
    const place = installation();
    const settings = {
      PORT: '70000',
      FOVEA_LOG_LEVEL: 'loud',
      FOVEA_WORKERS: 'worker:8001',
      DATABASE_URL: 'mysql://root:hush@db',
      FOVEA_INIT_PASSWORD: 'short',
    };
    const { code, stdout, stderr } = await place.runWith(settings, 'start').ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    for (const name of Object.keys(settings))
      expect(stderr).toMatch(new RegExp(`^ {2}${name}: found .+, wanted .+$`, 'm'));
    expect(stderr).not.toMatch(/hush|short/);
    expect(existsSync(place.dataDir)).toBe(false);
  });

  it('of a database that is not there end it with a line that says which', async () => {
    const url = 'postgresql://fovea:hush@127.0.0.1:1/fovea';
    const { code, stdout, stderr } = await installation().runWith({ DATABASE_URL: url }, 'start').ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain("PostgreSQL at 127.0.0.1:1 (database 'fovea', user 'fovea') cannot be used: ");
    expect(stderr).not.toMatch(/hush|\n {4}at /);
  });
});

describe('the port', () => {
  it('that is set and taken ends it with 1; what the first boot creates is still told, by the start that succeeds', async () => {
    const place = installation();
    const port = await takePort(0);
    const { code, stdout, stderr } = await place.runWith(
      { PORT: String(port), FOVEA_LOG_LEVEL: 'silent' },
      'start',
    ).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `Cannot listen on 127.0.0.1: port ${port} is taken. Set PORT to a free one, or to 0 for any.\n`,
    );
    expect(processesOf(place.dataDir)).toEqual([]);

    const server = await place.start();
    expect(server.key).not.toBeNull();
  });

  it('that is not set is the next free one from 4000', async () => {
    await takePort(4000);
    const place = await installed();
    const { url } = await place.start({ PORT: '' });
    expect(Number(new URL(url).port)).toBeGreaterThan(4000);
    expect(Number(new URL(url).port)).toBeLessThan(4100);
  });
});

describe('a data directory', () => {
  it('belongs to one server; two servers stand side by side on two', async () => {
    const [place, other] = [installation(), installation()];
    const server = await place.start();
    const [refused, beside] = await Promise.all([place.run('start').ended, other.start()]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(
      `The data directory ${place.dataDir} is in use by another Fovea server (pid ${server.child.pid}): ` +
        'stop that one, or set FOVEA_DATA_DIR to another directory.',
    );
    await Promise.all([expectServing(server), expectServing(beside)]);
    await expect(new GraphqlClient(server.url, beside.key).data(PRINCIPAL)).rejects.toThrow(
      /UNAUTHENTICATED/,
    );
  });
});

const hasCurl = spawnSync('curl', ['--version']).status === 0;

describe('the first start', () => {
  it.skipIf(!hasCurl)(
    'prints a call that works when pasted (needs curl), and the second start creates nothing',
    async () => {
      const place = installation();
      // Without the tests' hook, which would keep Node from warning of its stripping of types.
      const silent = { FOVEA_LOG_LEVEL: 'silent', NODE_OPTIONS: '' };
      const first = await place.start(silent);
      const { stdout } = first.output();
      expect(stdout).toMatch(/^Tenant «Operator», owner owner@fovea\.localhost, password \S{20,}$/m);
      expect(stdout.endsWith(`\nfovea ready ${first.url}\n`)).toBe(true);
      const [call] = /^curl (?:.*\\\n)*.*$/m.exec(stdout)!;
      const pasted = spawnSync('sh', ['-c', call], { encoding: 'utf8', cwd: '/' });
      const { data } = JSON.parse(pasted.stdout);
      expect(data.classify.results[0].labels[0]).toMatchObject({ label: 'red circle' });
      expect(data.classify.receipt).toMatchObject({ units: 1, quota: { used: 1 } });
      first.child.kill('SIGTERM');
      expect(await first.ended).toMatchObject({ code: 0, stderr: '' });

      const second = await place.start(silent);
      expect(second.output().stdout).not.toMatch(/password|fov_/);
      await expectServing(second, first.key);
      const { rows } = await place
        .superuser()
        .query(
          'SELECT (SELECT count(*)::int FROM tenant) AS tenants, (SELECT count(*)::int FROM api_key) AS keys',
        );
      expect(rows).toEqual([{ tenants: 1, keys: 1 }]);
    },
  );

  it('creates what it is told to', async () => {
    const { text: key } = generateApiKey();
    const password = randomBytes(16).toString('hex');
    const server = await installation().start({
      FOVEA_INIT_TENANT: 'Acme',
      FOVEA_INIT_EMAIL: 'ada@acme.test',
      FOVEA_INIT_PASSWORD: password,
      FOVEA_INIT_API_KEY: key,
    });
    expect(server.key).toBe(key);
    const { stdout, stderr } = server.output();
    expect(stdout).toMatch(/^Tenant «Acme», owner ada@acme\.test$/m);
    expect(stdout + stderr).not.toContain(password);
    const { viewer } = await clientOf(server).data<{ viewer: object }>(PRINCIPAL);
    expect(viewer).toMatchObject({ tenant: { name: 'Acme' } });
    const { signIn } = await clientOf(server)
      .as(null)
      .data<{ signIn: { token: string } }>(
        'mutation($input: SignInInput!) { signIn(input: $input) { token } }',
        { input: { email: 'ada@acme.test', password } },
      );
    const asMember = await clientOf(server).as(signIn.token).data<{ viewer: object }>(PRINCIPAL);
    expect(asMember.viewer).toMatchObject({ principal: 'ada@acme.test', tenant: { name: 'Acme' } });
  });

  it('tells a program in lines of JSON', async () => {
    const job = installation().run('start', '--json');
    await vi.waitUntil(() => job.output().stdout.includes('"ready"'), patience);
    const lines = job
      .output()
      .stdout.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      expect.objectContaining({ event: 'created', apiKey: expect.stringMatching(/^fov_/) }),
      { event: 'ready', url: expect.stringMatching(/^http:/) },
    ]);
  });
});

it("serves on the operator's own database and worker", async () => {
  const place = installation();
  const database = await createEmptyDatabase();
  onTestFinished(() => database.drop());
  const artifacts = join(place.dataDir, 'artifacts');
  const worker = place.run('worker', '--listen', '127.0.0.1:0', '--artifacts', artifacts, '--json');
  await vi.waitUntil(() => worker.output().stdout.includes('\n'), patience);
  const { event, address } = JSON.parse(worker.output().stdout);
  expect({ event, address }).toEqual({
    event: 'ready',
    address: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
  });

  const server = await place.start({ DATABASE_URL: database.url, FOVEA_WORKERS: address });
  await expectServing(server);
  expect(
    processesOf(place.dataDir)
      .map(({ pid }) => pid)
      .sort(),
  ).toEqual([worker.child.pid, server.child.pid].sort());

  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
  worker.child.kill('SIGTERM');
  expect(await worker.ended).toMatchObject({ code: 0 });
});

it.skipIf(process.platform !== 'linux')(
  'fits into a small machine: what it takes when idle (Linux)',
  async () => {
    const place = await installed();
    const server = await ready(place.npmStart({ FOVEA_WORKERS_PER_DEVICE: '', NODE_OPTIONS: '' }));
    await expectServing(server, place.key);
    const megabytes = (pid: number) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1024;
    };
    expect(megabytes(pidOf('server', place))).toBeLessThan(250);
    const workers = pidsOf('worker', place);
    expect(workers).toHaveLength(Math.min(2, availableParallelism()));
    for (const worker of workers) expect(megabytes(worker)).toBeLessThan(300);
  },
);
