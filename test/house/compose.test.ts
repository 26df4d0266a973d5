import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DCLinter } from 'dclint';
import { expect, onTestFinished, test } from 'vitest';
import { readEnvironment } from '../../src/config/environment.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';
import { readCompose } from './compose-file.ts';
import { readImage } from './dockerfile.ts';
import { stageImage } from './staged-image.ts';

const root = resolve(import.meta.dirname, '../..');
const file = join(root, 'docker-compose.yml');
const { services, volumes } = readCompose(file);

const hasEngine = [['info'], ['compose', 'version']].every(
  (question) => spawnSync('docker', question).status === 0,
);

test('the file keeps to the Compose Specification', () => {
  // Beside the schema, what would surprise an operator; not the checker's taste in order and quotes.
  const taste = [
    'require-project-name-field',
    'require-quotes-in-ports',
    'service-keys-order',
    'services-alphabetical-order',
  ];
  const rules = Object.fromEntries(taste.map((rule) => [rule, 0 as const]));
  const faults = (path: string) => {
    // Typed by hand: its own types are written for a bundler.
    const results: readonly { messages: readonly { line: number; rule: string; message: string }[] }[] =
      new DCLinter({ rules, quiet: true, debug: false, exclude: [] }).lintFiles([path], false);
    return results.flatMap(({ messages }) =>
      messages.map(({ line, rule, message }) => `${line} ${rule}: ${message}`),
    );
  };
  expect(faults(file)).toEqual([]);
  expect(faults(join(import.meta.dirname, 'faulty-compose.yml'))).toEqual([
    expect.stringMatching(/invalid-schema: .*"\/services\/api".*additional properties/),
  ]);
});

test('whatever the file names is there', () => {
  expect(Object.keys(services).sort()).toEqual(['api', 'gpu-worker', 'postgres', 'redis', 'worker']);
  for (const [name, service] of Object.entries(services)) {
    for (const other of Object.keys(service.depends_on ?? {})) expect(services, name).toHaveProperty(other);
    for (const volume of service.volumes ?? []) expect(volumes, name).toHaveProperty(volume.split(':')[0]!);
    const { build } = service;
    if (typeof build === 'string') expect(existsSync(join(root, build, 'Dockerfile')), name).toBe(true);
    else if (build) expect(existsSync(join(root, build.context, build.dockerfile)), name).toBe(true);
    else expect(service.image, name).toMatch(/^[a-z/]+:\d+(-[a-z]+)?$/);
  }
});

test('the API is told of the services where they listen, in settings that exist', () => {
  const { environment } = readImage(join(root, 'Dockerfile'));
  const settings = readEnvironment({ ...environment, ...services.api!.environment });
  expect(settings.unknown).toEqual([]);
  const [listens] = services.worker!.command!.filter((word) => word.startsWith('0.0.0.0:'));
  expect(settings.config.workers).toEqual([listens!.replace('0.0.0.0', 'http://worker')]);
  expect(settings.config).toMatchObject({ host: '0.0.0.0', dataDir: '/var/lib/fovea' });
  expect(services.api!.ports).toEqual([`127.0.0.1:4000:${settings.config.port}`]);

  const database = new URL(settings.secrets.databaseUrl!);
  const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = services.postgres!.environment!;
  expect(database.host).toBe('postgres:5432');
  expect([database.username, database.password]).toEqual([POSTGRES_USER, POSTGRES_PASSWORD]);
  expect(database.pathname).toBe(`/${POSTGRES_DB}`);
});

test('on request alone, a worker has a GPU and computes on it, in place of the other', () => {
  const { profiles, deploy, build, command, volumes, environment } = services['gpu-worker']!;
  expect(profiles).toEqual(['gpu']);
  expect(deploy!.resources!.reservations!.devices).toEqual([
    { driver: 'nvidia', count: 1, capabilities: ['gpu'] },
  ]);
  expect({ command, volumes }).toEqual({
    command: services.worker!.command,
    volumes: services.worker!.volumes,
  });
  const image = readImage(join(root, (build as { dockerfile: string }).dockerfile));
  const settings = readEnvironment({ ...image.environment, ...environment });
  expect(settings.unknown).toEqual([]);
  expect(settings.config.providers).toEqual(['cuda']);

  const asked = readCompose(file, {
    FOVEA_WORKERS: 'http://gpu-worker:8001',
    FOVEA_PROVIDERS: 'tensorrt,cuda',
  });
  const { FOVEA_WORKERS } = asked.services.api!.environment!;
  expect(readEnvironment({ FOVEA_WORKERS: FOVEA_WORKERS! }).config.workers).toEqual([
    'http://gpu-worker:8001',
  ]);
  expect(asked.services['gpu-worker']!.environment).toEqual({ FOVEA_PROVIDERS: 'tensorrt,cuda' });
});

test("the services' commands and settings, as processes on what the image holds, serve a picture", async () => {
  const image = stageImage(root);
  const database = await createEmptyDatabase();
  onTestFinished(() => database.drop());
  const { username, password, host, pathname } = new URL(database.url);

  const worker = image.run(services.worker!, { '0.0.0.0:8001': '127.0.0.1:0' });
  const workerUrl = await worker.says(/^fovea worker ready (\S+)$/m);
  const api = image.run(services.api!, {
    'http://worker:8001': workerUrl,
    'fovea:fovea@postgres:5432/fovea': `${username}:${password}@${host}${pathname}`,
    '0.0.0.0': '127.0.0.1',
    '4000': '0',
  });
  const url = await api.says(/^fovea ready (\S+)$/m);
  expect(url).not.toMatch(/:4000$/);
  await expectRedCircle(url, await api.says(/API key (fov_\w+)/));
  expect(worker.output()).toContain('model loaded');
}, 120_000);

test.skipIf(!hasEngine)(
  'an engine brings the whole up, and it serves a picture (skipped where no container engine answers)',
  async () => {
    const project = `fovea-test-${randomBytes(4).toString('hex')}`;
    const compose = (...args: string[]) =>
      execFileSync('docker', ['compose', '--project-name', project, ...args], {
        cwd: root,
        env: { ...process.env, PORT: '0' },
        encoding: 'utf8',
      });
    onTestFinished(() => void compose('down', '--volumes', '--rmi', 'local'));
    compose('up', '--build', '--wait');
    const [, key] = /API key (fov_\w+)/.exec(compose('logs', 'api')) ?? [];
    await expectRedCircle(`http://${compose('port', 'api', '4000').trim()}`, key!);
  },
  600_000,
);

async function expectRedCircle(url: string, key: string): Promise<void> {
  const picture = { base64: examplePicture('red-circle') };
  const { data, errors } = await new GraphqlClient(url, key).classify({ images: [picture] });
  expect(errors).toEqual([]);
  const [result] = data!.classify.results;
  expect(result).toMatchObject({ labels: [{ label: 'red circle' }, {}, {}, {}, {}] });
}
