import pg from 'pg';

/** The PostgreSQL of a test run. */
export interface TestPostgres {
  /** Connection strings: a login that may create databases, and the one that owns them. */
  readonly adminUrl: string;
  readonly ownerUrl: string;
  /** A migrated database, which `createTestDatabase` clones. */
  readonly template: string;
}

/** What a first start leaves behind: `startServer` clones it, so that not every test's server has to be a first one. */
export interface Installed {
  readonly template: string;
  readonly dataDir: string;
  /** Of the operator's key, with every scope. */
  readonly operatorKey: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: TestPostgres;
    installed: Installed;
  }
}

export function databaseUrl(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

export async function administer(adminUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
