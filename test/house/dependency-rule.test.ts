import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** Lints files of a tree of their own under this repository's rules, and answers the paths of those refused, by rule. */
function refused(files: Readonly<Record<string, string>>): Record<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-rule-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const file of ['biome.json', '.gitignore']) cpSync(join(root, file), join(folder, file));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const rules = ['--only=style/noRestrictedImports', '--only=suspicious/noImportCycles'];
  const command = [biome, 'lint', ...rules, '--reporter=json', '--max-diagnostics=none', '.'];
  let output: string;
  try {
    output = execFileSync(process.execPath, command, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    output = (error as { stdout: string }).stdout; // It exits 1 where it refuses, as it should here.
  }
  const { diagnostics } = JSON.parse(output) as {
    diagnostics: { category: string; location: { path: string } }[];
  };
  const found: Record<string, string[]> = {};
  for (const { category, location } of diagnostics) {
    const rule = category.split('/').at(-1)!;
    found[rule] = [...new Set([...(found[rule] ?? []), location.path])].sort();
  }
  return found;
}

const forbidden: readonly (readonly [importer: string, imported: string])[] = [
  ['client', '../lib/errors.ts'],
  ['client', '../graphql/server.ts'],
  ['client', 'graphql'],
  ['client', '@apollo/server'],
  ['client', 'node:crypto'],
  ['lib', '../db/database.ts'],
  ['lib', '../config/config.ts'],
  ['lib', '../context.ts'],
  ['config', '../db/database.ts'],
  ['db', '../tenants/tenants.ts'],
  ['db', '../config/config.ts'],
  ['tenants', '../metering/ledger.ts'],
  ['tenants', '../models/registry.ts'],
  ['tenants', '../graphql/server.ts'],
  ['metering', '../tenants/tenants.ts'],
  ['metering', '../inference/service.ts'],
  ['billing', '../tenants/tenants.ts'],
  ['billing', '../metering/ledger.ts'],
  ['uploads', '../tenants/types.ts'],
  ['uploads', '../metering/ledger.ts'],
  ['uploads', '../inference/images/source.ts'],
  ['uploads', '../inference/service.ts'],
  ['uploads', '../config/config.ts'],
  ['tenants', '../uploads/uploads.ts'],
  ['models', '../uploads/uploads.ts'],
  ['inference', '../uploads/uploads.ts'],
  ['inference/worker', '../../uploads/uploads.ts'],
  ['inference', '../tenants/types.ts'],
  ['inference', '../models/registry.ts'],
  ['inference', '../db/database.ts'],
  ['inference', '../context.ts'],
  ['inference', 'pg'],
  ['inference', 'graphql'],
  ['inference', '@prisma/client'],
  ['inference', '@apollo/server'],
  ['inference/scheduler', '../../db/database.ts'],
  ['inference/worker', '../../metering/ledger.ts'],
  ['inference/pool', 'pg'],
  ['inference/oip', '../../db/database.ts'],
  ['models', '../metering/ledger.ts'],
  ['models', '../tenants/tenants.ts'],
  ['models', '../graphql/server.ts'],
  ['graphql', 'pg'],
  ['graphql', '@prisma/client'],
  ['graphql', '../config/config.ts'],
  ['graphql', '../commands/start.ts'],
  ['graphql/modules/usage', 'pg'],
  ['jobs', '../graphql/server.ts'],
  ['jobs', '../config/config.ts'],
  ['jobs', '../context.ts'],
  ['metering', '../jobs/queue.ts'],
];

const allowed: readonly (readonly [importer: string, imported: string])[] = [
  ['client', './errors.ts'],
  ['lib', './clock.ts'],
  ['lib', 'undici'],
  ['db', '../lib/errors.ts'],
  ['db', 'pg'],
  ['tenants', '../db/database.ts'],
  ['metering', 'pg'],
  ['billing', '../db/database.ts'],
  ['uploads', '../db/database.ts'],
  ['uploads', '../inference/images/sniff.ts'],
  ['inference', '../metering/ledger.ts'],
  ['inference/worker', '../../lib/logger.ts'],
  ['models', '../inference/pool/local-worker.ts'],
  ['graphql', '../inference/service.ts'],
  ['graphql', '../tenants/authenticator.ts'],
  ['graphql/plugins', '../context.ts'],
  ['graphql', 'graphql'],
  ['jobs', '../metering/ledger.ts'],
  ['jobs', '../db/pool.ts'],
  ['commands', '../context.ts'],
];

const path = ([importer]: readonly [string, string], index: number) => `src/${importer}/file-${index}.ts`;
const imports = (list: typeof forbidden, statement: (imported: string) => string) =>
  Object.fromEntries(list.map((pair, index) => [path(pair, index), statement(pair[1])]));

test.each([
  ['a value', (imported: string) => `import { a } from '${imported}';\nexport const b = a;\n`],
  ['a type', (imported: string) => `import type { A } from '${imported}';\nexport type B = A;\n`],
  ['a module to export', (imported: string) => `export { a } from '${imported}';\n`],
  ['a module at run time', (imported: string) => `export const b = await import('${imported}');\n`],
])('no layer may import %s from one it must not know', (_, statement) => {
  expect(refused(imports(forbidden, statement))).toEqual({
    noRestrictedImports: forbidden.map(path).sort(),
  });
  expect(refused(imports(allowed, statement))).toEqual({});
});

test('no folder is without a rule but the commands, which may import all', () => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  const ruled = new Set(forbidden.map(([importer]) => importer.split('/')[0]));
  expect(folders.map(({ name }) => name).filter((name) => !ruled.has(name))).toEqual(['commands']);
});

test('no circle of imports passes', () => {
  const from = (other: string) => `import { a } from '${other}';\nexport const b = a;\n`;
  expect(
    refused({
      'src/models/one.ts': from('./two.ts'),
      'src/models/two.ts': from('./three.ts'),
      'src/models/three.ts': from('./one.ts'),
      'src/models/four.ts': from('./one.ts'),
    }),
  ).toEqual({ noImportCycles: ['src/models/one.ts', 'src/models/three.ts', 'src/models/two.ts'] });
});
