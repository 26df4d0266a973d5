import { existsSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { modelFolder } from '../models/model-folder.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';
import {
  clientOf,
  type Ended,
  type Installation,
  installation,
  installed,
  patience,
  pidOf,
  processesOf,
} from './installation.ts';

/** What a command that succeeds prints under `--json`. */
async function json(place: Installation, ...args: string[]) {
  const { code, stdout, stderr } = await place.run(...args, '--json').ended;
  expect({ code, stderr }, `fovea ${args.join(' ')}`).toEqual({ code: 0, stderr: '' });
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  return JSON.parse(stdout);
}

function expectRefused({ code, stdout, stderr }: Ended, exitCode: number, message: RegExp): void {
  expect({ code, stdout }, stderr).toEqual({ code: exitCode, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/^ {4}at /m);
}

describe('the command line', () => {
  it('explains every command', async () => {
    const place = installation();
    const explained: string[] = [];
    const explain = async (...command: string[]): Promise<void> => {
      const { code, stdout, stderr } = await place.run(...command, '--help').ended;
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`Usage: ${['fovea', ...command].join(' ')}`);
      const [, list = ''] = stdout.split('\nCommands:\n');
      const names = [...list.matchAll(/^ {2}(?<name>[a-z-]+)/gm)].map(({ groups }) => groups!.name!);
      if (names.length === 0) explained.push(command.join(' '));
      await Promise.all(names.filter((name) => name !== 'help').map((name) => explain(...command, name)));
    };
    await explain();
    expect(explained.sort()).toEqual(
      expect.arrayContaining([
        'keys create',
        'ledger check',
        'migrate',
        'models export',
        'models import',
        'models list',
        'providers',
        'start',
        'tenants create',
        'tenants set-origins',
        'tenants set-plan',
        'worker',
      ]),
    );
    expect(existsSync(place.dataDir)).toBe(false);
  });

  it('answers faults of usage with 2, and touches nothing', async () => {
    const place = installation();
    const faults: [string[], RegExp][] = [
      [[], /Usage: fovea/],
      [['strat'], /unknown command 'strat'/],
      [['start', '--prot', '1'], /unknown option '--prot'/],
      [['tenants', 'create'], /required option '--name <name>' not specified/],
      [['models', 'import'], /missing required argument 'manifest'/],
      [['models', 'export', 'shapes'], /--triton <dir> or --tfserving <dir>/],
      [
        ['models', 'export', 'shapes', '--triton', 'a', '--tfserving', 'b'],
        /--triton <dir> or --tfserving <dir>/,
      ],
      [
        ['keys', 'create', '--tenant', 'Acme', '--scopes', 'INFER,FLY'],
        /--scopes: found FLY, wanted some of INFER, /,
      ],
      [
        ['worker', '--listen', 'unix:w', '--artifacts', '.', '--threads', 'two'],
        /--threads: found two, wanted/,
      ],
    ];
    const ended = await Promise.all(faults.map(([args]) => place.run(...args).ended));
    for (const [index, [, message]] of faults.entries()) expectRefused(ended[index]!, 2, message);
    expect(existsSync(place.dataDir)).toBe(false);
  });
});

/** Each one leaves what the next one builds on, as an operator would go about it. */
async function setUpTenant(place: Installation) {
  const { applied } = await json(place, 'migrate');
  const tenant = await json(
    place,
    'tenants',
    'create',
    '--name',
    'Acme',
    '--plan',
    'Free',
    '--email',
    'ada@acme.test',
  );
  expect(tenant).toMatchObject({
    name: 'Acme',
    plan: 'Free',
    email: 'ada@acme.test',
    password: expect.any(String),
  });
  const key = await json(place, 'keys', 'create', '--tenant', 'Acme', '--scopes', 'infer,usage_read');
  expect(key).toMatchObject({
    tenant: 'Acme',
    scopes: ['INFER', 'USAGE_READ'],
    key: expect.stringMatching(/^fov_/),
  });
  return { applied, key: key.key as string };
}

const quotaLimit = (client: GraphqlClient) =>
  client.data<{ quota: { limit: number | null } }>('{ quota { limit } }').then(({ quota }) => quota.limit);

it('commands without a server start the database for their own duration; the next server finds what they made', async () => {
  const place = installation();
  const { applied, key } = await setUpTenant(place);
  expect(applied.length).toBeGreaterThan(0);
  expect(await json(place, 'tenants', 'set-plan', '--tenant', 'Acme', '--plan', 'Scale')).toMatchObject({
    plan: 'Scale',
  });
  const manifest = modelFolder();
  const imported = await json(place, 'models', 'import', manifest, '--tenant', 'Acme');
  expect(imported).toMatchObject({ name: 'tiny', version: 1, isPublic: false, servers: 0 });
  expect(await json(place, 'models', 'list')).toEqual([]);
  expect(await json(place, 'models', 'list', '--tenant', 'Acme')).toMatchObject([
    { name: 'tiny', isPublic: false },
  ]);
  const repository = join(place.dataDir, 'triton');
  const exported = await json(
    place,
    'models',
    'export',
    'tiny@1',
    '--tenant',
    'Acme',
    '--triton',
    repository,
  );
  expect(exported).toMatchObject({
    repository,
    exported: [{ compression: 'NONE', version: 1, written: true }],
  });
  expect(existsSync(join(repository, exported.exported[0].name, 'config.pbtxt'))).toBe(true);
  expect(await json(place, 'ledger', 'check')).toEqual({
    exact: true,
    months: 3,
    drifts: [],
  });
  expect(processesOf(place.dataDir)).toEqual([]);

  const server = await place.start();
  const client = new GraphqlClient(server.url, key);
  expect(await quotaLimit(client)).toBeNull();
  const { errors } = await client.classify({ model: 'tiny', images: { base64: examplePicture() } });
  expect(errors).toEqual([]);
});

describe('commands beside a running server', () => {
  it('change what it serves, and it knows at once', async () => {
    const place = await installed();
    const server = await place.start();
    const { applied, key } = await setUpTenant(place);
    expect(applied).toEqual([]);

    const client = new GraphqlClient(server.url, key);
    expect(await quotaLimit(client)).toBeTypeOf('number');
    await json(place, 'tenants', 'set-plan', '--tenant', 'Acme', '--plan', 'Scale');
    await vi.waitUntil(async () => (await quotaLimit(client)) === null, { timeout: 5_000, interval: 50 });

    // Whoever asked before the import was told that there is none: that must not be remembered.
    const picture = { images: { base64: examplePicture() } };
    for (const [name, options] of [
      ['shared', []],
      ['own', ['--tenant', 'Acme']],
    ] as const) {
      expect((await client.classify({ model: name, ...picture })).errors[0]?.extensions.code).toBe(
        'NOT_FOUND',
      );
      const manifest = modelFolder({ manifest: { name } });
      const imported = await json(place, 'models', 'import', manifest, ...options);
      expect(imported).toMatchObject({ name, isPublic: name === 'shared', servers: 1 });
      expect((await client.classify({ model: name, ...picture })).errors).toEqual([]);
    }
    const others = await clientOf(server).classify({ model: 'own', ...picture });
    expect(others.errors[0]?.extensions.code).toBe('NOT_FOUND');

    const names = async (...options: string[]) =>
      (await json(place, 'models', 'list', ...options)).map((model: { name: string }) => model.name);
    const builtIn = ['shapes', 'shapes-detect', 'shapes-segment'];
    expect(await names()).toEqual([...builtIn, 'shared']);
    expect(await names('--tenant', 'Acme')).toEqual(['own', ...builtIn, 'shared']);
    const { stdout } = await place.run('models', 'list', '--tenant', 'Acme').ended;
    expect(stdout).toMatch(
      /^MODEL +TASK +VARIANTS +OFFERED +LICENSE\nown@1 +CLASSIFY +NONE +private\nshapes@1 /,
    );
  });

  it('say on standard error what they cannot do, and end with 1', async () => {
    const place = await installed();
    await place.start();
    const wrong = modelFolder({ manifest: { labels: 'nothing.txt' } });
    const faults: [string[], RegExp][] = [
      [['tenants', 'set-plan', '--tenant', 'Nobody', '--plan', 'Pro'], /^No tenant is named "Nobody": /],
      [['tenants', 'set-plan', '--tenant', 'Operator', '--plan', 'Gold'], /Gold/],
      [['tenants', 'create', '--name', 'Operator'], /Operator/],
      [['keys', 'create', '--tenant', 'Nobody'], /^No tenant is named "Nobody": /],
      [['models', 'import', '/nowhere/manifest.json'], /\/nowhere\/manifest\.json/],
      [['models', 'import', wrong], /nothing\.txt/],
      [['models', 'export', 'nothing', '--triton', place.dataDir], /^There is no model 'nothing'/],
      [['models', 'export', 'shapes', '--tfserving', place.dataDir], /SavedModels alone/],
      [['models', 'list', '--tenant', 'Nobody'], /^No tenant is named "Nobody": /],
    ];
    for (const [args, message] of faults) expectRefused(await place.run(...args, '--json').ended, 1, message);
  });
});

describe('a command that computes', () => {
  it('has a lower priority than the service beside it, but not where it starts the database itself', async () => {
    const place = await installed();
    const manifest = modelFolder({ manifest: { name: 'tiny' } });
    const alone = await prioritiesOf(place, 'import', manifest);
    expect(alone).toEqual({ command: [getPriority()], database: [getPriority()] });

    await place.start();
    const lower = Math.min(19, getPriority() + 5);
    for (const args of [
      ['import', manifest],
      ['export', 'tiny', '--triton', place.dataDir],
    ]) {
      const { command, database } = await prioritiesOf(place, ...args);
      expect(command).toContain(lower);
      expect(database).toEqual([getPriority()]);
    }
  });
});

/** That `fovea models …` and the database beside it had while it ran, of their first threads. */
async function prioritiesOf(place: Installation, ...args: string[]) {
  const { child, ended } = place.run('models', ...args);
  const command = new Set<number>();
  const database = new Set<number>();
  const look = (priorities: Set<number>, pid: () => number) => {
    try {
      priorities.add(getPriority(pid()));
    } catch {} // It does not run yet, or no more.
  };
  const watching = setInterval(() => {
    look(command, () => child.pid!);
    look(database, () => pidOf('postgres', place));
  }, 50);
  const end = await ended;
  clearInterval(watching);
  expect(end).toMatchObject({ code: 0 });
  return { command: [...command], database: [...database] };
}

it('a command that is interrupted leaves no process behind', async () => {
  const place = installation();
  const command = place.run('migrate');
  await vi.waitUntil(() => existsSync(join(place.dataDir, 'postgres/postmaster.pid')), patience);
  command.child.kill('SIGINT');
  expect(await command.ended).toMatchObject({ code: 130, stdout: '' });
  expect(processesOf(place.dataDir)).toEqual([]);
  expect((await json(place, 'migrate')).applied.length).toBeGreaterThan(0);
});
