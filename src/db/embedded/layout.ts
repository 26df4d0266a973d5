import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { OperatorError } from '../../lib/errors.ts';
import { type Account, canEnter, serverAccount } from './account.ts';

/** What a data directory remembers of its database, in `postgres.json`, readable by its owner alone. */
const stateSchema = z.object({
  /** The folder that holds the cluster, where it is not the data directory itself. */
  home: z.string().nullable(),
  /** Of the login `fovea`, which owns the database `fovea`. */
  password: z.string(),
  /** Of the superuser `postgres`, whom Fovea never logs in as: it is there for the operator. */
  superuserPassword: z.string(),
});
type State = z.infer<typeof stateSchema>;

export interface Layout {
  /** Absolute, without symbolic links: the cluster's server is recognised by its path. */
  readonly dataDir: string;
  readonly home: string;
  readonly cluster: string;
  readonly log: string;
  readonly account: Account | null;
  readonly password: string;
  readonly superuserPassword: string;
}

/** Finds out where the cluster of `dataDir` is, or decides where it will be. */
export function prepareLayout(dataDir: string): Layout {
  const created = mkdirSync(dataDir, { recursive: true }) !== undefined;
  const directory = realpathSync(dataDir);
  // The account that PostgreSQL runs as under root has to get through, and needs no more than that.
  if (created) chmodSync(directory, process.getuid?.() === 0 ? 0o711 : 0o700);

  const layout = layoutOf(directory, readState(directory) ?? createState(directory));
  const { home, account } = layout;
  mkdirSync(home, { recursive: true, mode: 0o711 });
  if (!canEnter(home, account)) {
    throw new OperatorError(
      `The user that PostgreSQL runs as (uid ${account?.uid}) can no longer enter ${home}, where its files are: ` +
        'let others enter that folder and each of its parents (chmod o+x).',
    );
  }
  return layout;
}

/** null where `dataDir` has no cluster yet. */
export function findLayout(dataDir: string): Layout | null {
  const state = readState(dataDir);
  return state && layoutOf(realpathSync(dataDir), state);
}

function layoutOf(dataDir: string, { home, password, superuserPassword }: State): Layout {
  const cluster = join(home ?? dataDir, 'postgres');
  return {
    dataDir,
    home: home ?? dataDir,
    cluster,
    log: join(dataDir, 'postgres.log'),
    account: serverAccount(cluster),
    password,
    superuserPassword,
  };
}

function readState(dataDir: string): State | null {
  const file = join(dataDir, 'postgres.json');
  try {
    return stateSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new OperatorError(
      `${file} cannot be read: ${(error as Error).message}. It holds the embedded database's passwords.`,
    );
  }
}

function createState(dataDir: string): State {
  const account = serverAccount(join(dataDir, 'postgres'));
  const state: State = {
    home: canEnter(dataDir, account) ? null : `/var/lib/fovea-${randomBytes(4).toString('hex')}`,
    password: randomBytes(24).toString('base64url'),
    superuserPassword: randomBytes(24).toString('base64url'),
  };
  // Two processes may find the directory empty at the same moment: a link is made whole and once, the other one reads it.
  const file = join(dataDir, 'postgres.json');
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
  return readState(dataDir)!;
}
