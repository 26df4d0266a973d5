import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The operating system's user that PostgreSQL runs as where Fovea itself runs as root, which PostgreSQL refuses. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Answers null where this process is no root: PostgreSQL then simply runs as this process' user. */
export function serverAccount(cluster: string): Account | null {
  if (process.getuid?.() !== 0) return null;
  if (existsSync(join(cluster, 'PG_VERSION'))) {
    // Whoever made the cluster keeps it: root may start what an ordinary user has started before, and nothing changes hands.
    const { uid, gid } = statSync(cluster);
    return { uid, gid };
  }
  return accountOf('postgres') ?? accountOf('fovea') ?? createAccount('fovea') ?? accountOf('nobody');
}

/** Whether `account` can enter `folder`: each of its parents counts as well. */
export function canEnter(folder: string, account: Account | null): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'cd -- "$0"', folder], { ...account, cwd: '/', stdio: 'ignore' }).status === 0
  );
}

function accountOf(name: string): Account | null {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, name], { encoding: 'utf8' }));
  if (uid?.status !== 0 || gid?.status !== 0) return null;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

function createAccount(name: string): Account | null {
  const options = [
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/bin/false',
  ];
  spawnSync('useradd', [...options, name], { stdio: 'ignore' });
  return accountOf(name);
}
