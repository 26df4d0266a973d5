import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inject } from 'vitest';
import type { Context, Surroundings } from '../../src/context.ts';
import { openNotifications } from '../../src/db/notifications.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { checkLedger } from '../../src/metering/check.ts';
import { grantable } from '../../src/tenants/permissions.ts';
import { createTenancy } from '../../src/tenants/tenancy.ts';
import { SCOPES, type Scope } from '../../src/tenants/types.ts';
import { cloneInstalledDatabase } from './database.ts';
import { GraphqlClient } from './graphql-client.ts';
import { openServer } from './open-server.ts';

export interface TestServer {
  readonly url: string;
  readonly context: Context;
  readonly databaseUrl: string;
  readonly dataDir: string;
  /** As the operator's own key, with every scope. */
  readonly operator: GraphqlClient;
  /** A fresh tenant with a key; `unitLimit` makes it a plan of its own with that many units a month. */
  createTenant(options?: {
    plan?: 'Free' | 'Pro' | 'Scale';
    scopes?: readonly Scope[];
    unitLimit?: number;
  }): Promise<TestTenant>;
  /** Throws unless events, counters, roll-ups and holds agree. */
  expectExactLedger(): Promise<void>;
  /** Units held for requests in flight, of every tenant. */
  heldUnits(): Promise<number>;
  /** A number that `/metrics` tells, e.g. of `fovea_images_running`. */
  metric(name: string): Promise<number>;
  close(): Promise<void>;
}

export interface TestTenant {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly key: string;
  readonly client: GraphqlClient;
}

/** Every scope that a tenant other than the operator's can hold. */
const tenantScopes = grantable(SCOPES, false);

/** The real server on an installation of its own: a real PostgreSQL, a real worker. One a test file; a fresh tenant a test. */
export async function startServer(
  environment: Record<string, string> = {},
  overrides: Partial<Surroundings> = {},
): Promise<TestServer> {
  const installed = inject('installed');
  const testDatabase = await cloneInstalledDatabase();
  const databaseUrl = testDatabase.url;
  const dataDir = mkdtempSync(join(tmpdir(), 'fovea-test-'));
  cpSync(installed.dataDir, dataDir, { recursive: true });
  const logger = overrides.logger ?? createLogger(process.env.FOVEA_LOG_LEVEL ?? 'fatal');
  const { url, context, close } = await openServer({ databaseUrl, dataDir }, environment, {
    ...overrides,
    logger,
  });

  const { database } = context;
  const notifications = await openNotifications(databaseUrl, logger);
  const tenancy = createTenancy({ database, notifications, logger });
  let tenants = 0;

  return {
    url,
    context,
    databaseUrl,
    dataDir,
    operator: new GraphqlClient(url, installed.operatorKey),
    async createTenant({ plan = 'Scale', scopes = tenantScopes, unitLimit } = {}) {
      tenants += 1;
      const name = `tenant ${tenants}`;
      const email = `owner${tenants}@example.test`;
      const planName = unitLimit === undefined ? plan : await createPlan(databaseUrl, unitLimit);
      const { tenant, password } = await tenancy.tenants.create({ name, plan: planName, email });
      const { secret } = await tenancy.apiKeys.createForTenant(tenant.id, { name: 'test', scopes });
      const client = new GraphqlClient(url, secret);
      return { id: tenant.id, name, email, password: password!, key: secret, client };
    },
    async expectExactLedger() {
      const drifts = await checkLedger(database.ledger);
      if (drifts.length > 0) throw new Error(`the ledger drifts: ${JSON.stringify(drifts, null, 2)}`);
    },
    async heldUnits() {
      const { rows } = await database.ledger.query<{ units: string | null }>(
        'SELECT sum(units) AS units FROM quota_hold',
      );
      return Number(rows[0]?.units ?? 0);
    },
    async metric(name) {
      const text = await (await fetch(`${url}/metrics`)).text();
      const value = new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(text)?.[1];
      if (value === undefined) throw new Error(`/metrics does not tell ${name}`);
      return Number(value);
    },
    async close() {
      await tenancy.close();
      await notifications.close();
      await close();
      await testDatabase.drop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** A plan with a hard limit of `units` a month and no other that a test would meet. */
async function createPlan(databaseUrl: string, units: number): Promise<string> {
  const { default: pg } = await import('pg');
  const owner = new pg.Client({ connectionString: databaseUrl });
  await owner.connect();
  try {
    const name = `${units} units`;
    await owner.query(
      `INSERT INTO plan (id, name, version, monthly_units, hard_limit, points_per_second, burst, concurrency, weight,
                         base_cents, included_units, unit_amount_decimal)
       VALUES (gen_random_uuid(), $1, 1, $2, true, 100000, 100000, 1000, 1, 0, 0, 0)
       ON CONFLICT (name, version) DO NOTHING`,
      [name, units],
    );
    return name;
  } finally {
    await owner.end();
  }
}

const examples = resolve(import.meta.dirname, '../../models/shapes/examples');

/** One of the pictures that come with the built-in classifier, e.g. `red-circle`, in base64. */
export function examplePicture(name = 'red-circle'): string {
  return readFileSync(join(examples, `${name}.jpg`)).toString('base64');
}
