import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { randomFrom } from '../../models/shapes/generator/random.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';
import { readyWorker } from '../support/stopped-worker.ts';
import { ChaoticClient, type Request } from './chaotic-client.ts';

let server: TestServer;
let owner: pg.Client;
beforeAll(async () => {
  server = await startServer();
  owner = new pg.Client({ connectionString: server.databaseUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner.end();
  await server.close();
});

interface Event {
  readonly requestId: string;
  readonly tenantId: string;
  readonly apiKeyId: string;
  readonly occurredAt: Date;
  readonly images: number;
  readonly errors: number;
  readonly units: number;
}

async function eventsOf(tenants: readonly TestTenant[]): Promise<Event[]> {
  const { rows } = await server.context.database.ledger.query<Event & { units: string }>(
    `SELECT request_id AS "requestId", tenant_id AS "tenantId", 'key_' || api_key_id AS "apiKeyId",
            occurred_at AS "occurredAt", images, errors, units
       FROM usage_event WHERE tenant_id = ANY ($1) ORDER BY occurred_at`,
    [tenants.map(({ id }) => id)],
  );
  return rows.map((row) => ({ ...row, units: Number(row.units) }));
}

/** One of a tenant's clients, with a key of its own: what is booked without an answer can be told from the others'. */
async function openClient(tenant: TestTenant, name: string, seed: number) {
  const { createApiKey } = await tenant.client.data<{
    createApiKey: { secret: string; apiKey: { id: string } };
  }>(`mutation($name: String!) { createApiKey(input: { name: $name }) { secret apiKey { id } } }`, { name });
  const client = new ChaoticClient(tenant.client.as(createApiKey.secret), name, randomFrom(seed));
  return { tenant, apiKeyId: createApiKey.apiKey.id, client };
}
type OpenClient = Awaited<ReturnType<typeof openClient>>;

let killed: number | null = null;
async function killWorker(): Promise<void> {
  killed = await readyWorker(server, killed);
  process.kill(killed, 'SIGKILL');
}

let cutConnections = 0;
async function cutLedgerConnections(): Promise<void> {
  const { rowCount } = await owner.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'fovea_ledger'`,
  );
  cutConnections += rowCount!;
}

/** Waits until nothing of what clients hung up on is still under way. */
async function untilIdle(): Promise<void> {
  await vi.waitUntil(async () => (await server.metric('fovea_images_admitted')) === 0, { timeout: 60_000 });
}

type SentRequest = Request & { readonly by: OpenClient };

/** `limited`: the tenant whose plan allows but few requests at once. */
function isExplained({ fate, good, input, hangUpAfterMs, by }: SentRequest, limited: TestTenant): boolean {
  if (fate.kind === 'hung up') return hangUpAfterMs !== null;
  if (fate.kind === 'answered')
    return fate.receipt.images === good && fate.errors === input.images.length - good;
  return [
    'OVERLOADED', // its worker was killed twice
    ...(by.tenant === limited ? ['RATE_LIMITED', 'CONCURRENCY_LIMITED'] : []),
    ...(input.model === 'no-such-model' ? ['NOT_FOUND'] : []),
    ...(input.timeoutMs === 1 ? ['DEADLINE_EXCEEDED'] : []),
  ].includes(fate.code);
}

const asked = 1_000;
const clientCount = 32;

describe('1,000 requests of 32 clients, with workers killed and connections cut', () => {
  let limited: TestTenant;
  let tenants: TestTenant[];
  let clients: OpenClient[];
  let sent: SentRequest[];
  let events: Event[];
  let byId: Map<string, Event>;

  const answered = () =>
    sent.flatMap(({ fate, ...request }) => (fate.kind === 'answered' ? [{ ...request, fate }] : []));
  const acknowledged = () => answered().filter(({ fate }) => !fate.receipt.replayed);

  beforeAll(async () => {
    limited = await server.createTenant({ plan: 'Free' });
    tenants = [await server.createTenant(), await server.createTenant({ plan: 'Scale' }), limited];
    clients = [];
    for (let n = 0; n < clientCount; n++) {
      clients.push(await openClient(n < 4 ? limited : tenants[n % 2]!, `client ${n}`, 1_000 + n));
    }

    let done = 0;
    let disturbances = Promise.resolve();
    const disturbers = Array.from({ length: 9 }, (_, n) => (n % 2 === 0 ? killWorker : cutLedgerConnections));
    await Promise.all(
      clients.map(async ({ client }) => {
        while (client.requests.length < asked / clientCount) {
          const requests = await client.act();
          done += requests;
          if (done > asked * (1 - disturbers.length / 10))
            disturbances = disturbances.then(disturbers.shift());
        }
      }),
    );
    await disturbances;
    await untilIdle();
    sent = clients.flatMap((by) => by.client.requests.map((request) => ({ ...request, by })));
    events = await eventsOf(tenants);
    byId = new Map(events.map((event) => [event.requestId, event]));
  }, 300_000);

  it('was chaos: workers died, connections broke, clients hung up, limits were met', () => {
    expect(sent.length).toBeGreaterThanOrEqual(asked);
    expect(server.context.pool.workers[0]!.stats().restarts).toBeGreaterThanOrEqual(4);
    expect(cutConnections).toBeGreaterThanOrEqual(4);
    const kinds = new Set(sent.map(({ fate }) => (fate.kind === 'refused' ? fate.code : fate.kind)));
    for (const kind of ['answered', 'hung up', 'NOT_FOUND']) expect(kinds).toContain(kind);
    // Which of them hangs on how fast it is all done.
    expect(kinds.has('RATE_LIMITED') || kinds.has('CONCURRENCY_LIMITED')).toBe(true);
    expect(answered().some(({ fate }) => fate.receipt.replayed)).toBe(true);
  });

  it('every request was answered in full, refused for a reason of its own, or hung up by its client', () => {
    const unexplained = sent.filter((request) => !isExplained(request, limited));
    expect(unexplained.map(({ fate, input: { images, ...input } }) => ({ fate, input }))).toEqual([]);
  });

  it('events, counters and roll-ups agree, and no hold is left', async () => {
    expect(await server.heldUnits()).toBe(0);
    await server.expectExactLedger();
    for (const { id, client } of tenants) {
      const ask = () =>
        client.data<{ quota: { used: number; reserved: number } }>('{ quota { used reserved } }');
      const { quota } = await vi.waitFor(ask, 10_000); // Its clients may have used up the limited one's points.
      expect(quota).toEqual({ used: unitsOf(events.filter(({ tenantId }) => tenantId === id)), reserved: 0 });
    }
  });

  it('what was acknowledged stands in the ledger, once', () => {
    expect(byId.size).toBe(events.length);
    const ids = acknowledged().map(({ fate }) => fate.receipt.requestId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { by, fate } of acknowledged()) {
      const { requestId, units, images } = fate.receipt;
      expect(byId.get(requestId)).toMatchObject({
        tenantId: by.tenant.id,
        apiKeyId: by.apiKeyId,
        units,
        images,
        errors: fate.errors,
      });
      expect(units).toBe(images);
    }
  });

  it('a replay bills nothing and names what was booked for its tenant', () => {
    for (const { by, fate, input } of answered().filter(({ fate }) => fate.receipt.replayed)) {
      expect(input.idempotencyKey).toBeDefined();
      expect(fate.receipt.units).toBe(0);
      expect(byId.get(fate.receipt.requestId)).toMatchObject({
        tenantId: by.tenant.id,
        images: fate.receipt.images,
        errors: fate.errors,
      });
    }
  });

  it('what was booked without being acknowledged belongs to clients that hung up, request by request', () => {
    const known = new Set(acknowledged().map(({ fate }) => fate.receipt.requestId));
    const silent = events.filter(({ requestId }) => !known.has(requestId));
    const hungUp = new Set(sent.filter(({ fate }) => fate.kind === 'hung up'));
    const unexplained = silent.filter((event) => {
      const request = [...hungUp].find((candidate) => couldBe(event, candidate));
      return !(request && hungUp.delete(request));
    });
    expect(unexplained).toEqual([]);
    expect(unitsOf(events)).toBe(unitsOf(acknowledged().map(({ fate }) => fate.receipt)) + unitsOf(silent));
  });
});

function couldBe(event: Event, { by, sentAt, good, input }: SentRequest): boolean {
  return (
    event.apiKeyId === by.apiKeyId &&
    event.occurredAt.getTime() >= sentAt &&
    event.images === good &&
    event.errors === input.images.length - good
  );
}

function unitsOf(rows: readonly { units: number }[]): number {
  return rows.reduce((sum, { units }) => sum + units, 0);
}

describe('a quota of 500 units that ends in the middle', () => {
  const good = { base64: examplePicture() };
  const bad = { base64: 'aGVsbG8=' };

  /** Sends until a request is refused for want of units; answers what was acknowledged, and how the last was refused. */
  async function exhaust(
    client: GraphqlClient,
    images: () => { base64: string }[],
  ): Promise<{ units: number; refusal: Record<string, unknown> }> {
    for (let units = 0; ; ) {
      const { data, errors } = await client.classify({ images: images() });
      if (data === null) {
        expect(errors[0]).toMatchObject({ extensions: { code: 'QUOTA_EXCEEDED' } });
        return { units, refusal: errors[0]!.extensions };
      }
      units += data.classify.receipt.units;
    }
  }

  async function exhaustTogether(client: GraphqlClient, images: (n: number) => () => { base64: string }[]) {
    const each = await Promise.all(Array.from({ length: clientCount }, (_, n) => exhaust(client, images(n))));
    return unitsOf(each);
  }

  const usedBy = async (client: GraphqlClient) =>
    (await client.data<{ quota: object }>('{ quota { limit used reserved remaining } }')).quota;
  const full = { limit: 500, used: 500, reserved: 0, remaining: 0 };

  it('is used to the last unit by requests of one image', async () => {
    const { client } = await server.createTenant({ unitLimit: 500 });
    expect(await exhaustTogether(client, () => () => [good])).toBe(500);
    expect(await usedBy(client)).toEqual(full);
  }, 60_000);

  it('is never exceeded by requests of one to five, and what fits still fits', async () => {
    const { client } = await server.createTenant({ unitLimit: 500 });
    const billed = await exhaustTogether(client, (n) => {
      const random = randomFrom(2_000 + n);
      return () => Array.from({ length: 1 + random.below(5) }, () => (random.chance(0.9) ? good : bad));
    });
    expect(billed).toBeLessThanOrEqual(500);
    expect(await usedBy(client)).toEqual({ ...full, used: billed, remaining: 500 - billed });
    const { units, refusal } = await exhaust(client, () => [good]);
    expect(billed + units).toBe(500);
    expect(refusal).toMatchObject({ remaining: 0 });
    expect(await usedBy(client)).toEqual(full);
    await server.expectExactLedger();
  }, 60_000);
});
