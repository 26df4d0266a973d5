import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { OperatorError } from '../../lib/errors.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import type { Layout } from './layout.ts';

/** Passwords from this machine alone: even there, other users have no business in the database. */
const hostAccess = 'host all all 127.0.0.1/32 scram-sha-256\n';

/**
 * Makes the cluster of `layout` where there is none: the superuser `postgres`, and the database `fovea`, owned by a login
 * of that name which is no superuser, as on a server of the operator's own. It is made under another name and renamed when
 * it is whole, so neither a crash nor a second process at the same work leaves half of one.
 */
export async function ensureCluster(layout: Layout, binaries: Binaries): Promise<void> {
  if (existsSync(join(layout.cluster, 'PG_VERSION'))) return;
  const draft = mkdtempSync(`${layout.cluster}.new-`);
  try {
    if (layout.account) chownSync(draft, layout.account.uid, layout.account.gid);
    await execute(binaries.initdb, ['-D', draft, ...initialisation], '', layout.account);
    writeFileSync(join(draft, 'pg_hba.conf'), hostAccess);
    const singleUser = ['--single', '-D', draft, '-c', 'exit_on_error=on', 'postgres'];
    await execute(binaries.postgres, singleUser, firstStatements(layout), layout.account);
    renameSync(draft, layout.cluster);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // Someone else was faster, and theirs is as good: both were made from one set of passwords.
    if (!existsSync(join(layout.cluster, 'PG_VERSION'))) throw error;
  }
}

// The built-in locale sorts alike on every platform and after every upgrade of its libraries.
const initialisation = [
  ...['--username=postgres', '--auth=trust', '--encoding=UTF8', '--no-instructions'],
  ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
];

/** Without a server there is no wire that a password could be read from; a statement is one line here. */
function firstStatements({ password, superuserPassword }: Layout): string {
  return [
    `ALTER ROLE postgres PASSWORD '${superuserPassword}'`,
    `CREATE ROLE fovea LOGIN CREATEROLE PASSWORD '${password}'`,
    'CREATE DATABASE fovea OWNER fovea',
    '',
  ].join('\n');
}

/** In a process group of its own, as the server will be: Ctrl-C in a terminal must not cut it short. */
async function execute(
  program: string,
  options: string[],
  input: string,
  account: Account | null,
): Promise<void> {
  const child = spawn(program, options, { ...account, cwd: '/', env: serverEnvironment, detached: true });
  child.stdin.on('error', () => {}); // A program that ends before it has read everything says why below.
  child.stdin.end(input);
  child.stdout.resume();
  const complaint = text(child.stderr);
  const reason = await once(child, 'close').then(
    async ([status]) => (status === 0 ? null : (await complaint).trim()),
    (error: Error) => error.message,
  );
  if (reason !== null) throw new OperatorError(`The embedded PostgreSQL could not be set up: ${reason}`);
}

/** Nothing of the caller's: PGDATA, PGOPTIONS and their kin are meant for another server, and messages are for our log. */
export const serverEnvironment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
