import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { correct } from '../../src/metering/corrections.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

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

const image = { base64: examplePicture() };
const hour = 3_600_000;
const span = {
  from: new Date(Date.now() - hour).toISOString(),
  to: new Date(Date.now() + hour).toISOString(),
};

function exported(tenant: TestTenant, format: string, query: Record<string, string> = span) {
  return fetch(`${server.url}/usage/events.${format}?${new URLSearchParams(query)}`, {
    headers: { authorization: `Bearer ${tenant.key}` },
  });
}

/** `count` events within the last minutes of `tenantId`, as the ledger would have booked them. */
async function addEvents(tenantId: string, count: number): Promise<void> {
  const { rows } = await server.context.database.ledger.query(
    `INSERT INTO usage_event (tenant_id, request_id, occurred_at, operation, model, version, compression, images, errors,
                              cached_images, units, latency_ms)
     SELECT $1, (lpad(to_hex(ms), 12, '0') || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid, to_timestamp(ms / 1000.0),
            'CLASSIFY', 'shapes', 1, 'NONE', 1, 0, 0, 1, 5
       FROM generate_series(1, $2::int) n, LATERAL (SELECT (extract(epoch FROM now()) * 1000)::bigint - n / 3 AS ms) t
     RETURNING 1`,
    [tenantId, count],
  );
  expect(rows).toHaveLength(count);
}

describe('what was booked', () => {
  let tenant: TestTenant;
  let receipts: { requestId: string; units: number }[];
  let correction: string;
  beforeAll(async () => {
    tenant = await server.createTenant();
    receipts = [];
    for (const images of [[image], [image, { base64: 'aGVsbG8=' }], [image, image]]) {
      const { data } = await tenant.client.classify({ images });
      receipts.push(data!.classify.receipt);
    }
    const { id } = await correct(server.context.database.ledger, {
      tenantId: tenant.id,
      requestId: receipts[2]!.requestId,
      units: 1,
      reason: 'one picture, "twice"',
      author: 'Ada',
    });
    correction = id;
  });

  it('is exported as JSON lines, in the order of time, with what was given back of it', async () => {
    const answer = await exported(tenant, 'jsonl');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/jsonl; charset=utf-8');
    const lines = (await answer.text()).trimEnd().split('\n');
    const events = lines.map((line) => JSON.parse(line));
    expect(events.map(({ requestId, units }) => ({ requestId, units }))).toEqual([
      ...receipts.map(({ requestId, units }) => ({ requestId, units })),
      { requestId: correction, units: -1 },
    ]);
    expect(events[1]).toEqual({
      requestId: receipts[1]!.requestId,
      occurredAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      apiKeyId: expect.stringMatching(/^key_/),
      memberId: null,
      operation: 'CLASSIFY',
      model: 'shapes',
      version: 1,
      compression: 'NONE',
      images: 1,
      errors: 1,
      cachedImages: 0,
      units: expect.any(Number),
      latencyMs: expect.any(Number),
      corrects: null,
      reason: null,
      author: null,
    });
    expect(events[3]).toMatchObject({
      corrects: receipts[2]!.requestId,
      reason: 'one picture, "twice"',
      author: 'Ada',
    });
  });

  it('is exported as CSV, with what has quotes and commas quoted', async () => {
    const answer = await exported(tenant, 'csv');
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    const [head, ...lines] = (await answer.text()).split('\r\n');
    expect(head).toBe(
      'requestId,occurredAt,apiKeyId,memberId,operation,model,version,compression,images,errors,cachedImages,units,latencyMs,corrects,reason,author',
    );
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatch(
      new RegExp(`^${receipts[0]!.requestId},[^,]+Z,key_[^,]+,,CLASSIFY,shapes,1,NONE,1,0,0,1,[\\d.]+,,,$`),
    );
    expect(lines[3]).toMatch(
      new RegExp(`^${correction},.*,0,0,0,-1,0,${receipts[2]!.requestId},"one picture, ""twice""",Ada$`),
    );
    expect(lines[4]).toBe('');
  });

  it('is nobody else’s, and of no other time', async () => {
    const stranger = await server.createTenant();
    expect(await (await exported(stranger, 'jsonl')).text()).toBe('');
    const before = { from: '2020-01-01T00:00:00Z', to: span.from };
    expect(await (await exported(tenant, 'jsonl', before)).text()).toBe('');
    expect((await (await exported(tenant, 'csv', before)).text()).split('\r\n')).toHaveLength(2);
  });
});

it('holds every one of many events once, also where several have one millisecond', async () => {
  const tenant = await server.createTenant();
  await addEvents(tenant.id, 7_001);
  const lines = (await (await exported(tenant, 'jsonl')).text()).trimEnd().split('\n');
  const ids = lines.map((line) => JSON.parse(line).requestId as string);
  expect(ids).toHaveLength(7_001);
  expect(new Set(ids).size).toBe(7_001);
  expect(ids).toEqual(ids.toSorted());
});

describe('whoever reads slowly', () => {
  it('has no more read from the database than fits the way, and keeps no connection from others', async () => {
    const tenant = await server.createTenant();
    await addEvents(tenant.id, 60_000);
    const url = `${server.url}/usage/events.jsonl?${new URLSearchParams(span)}`;
    const readers = [1, 2].map(() => get(url, { headers: { authorization: `Bearer ${tenant.key}` } }));
    const answers = await Promise.all(
      readers.map(async (reader) => (await once(reader, 'response'))[0] as IncomingMessage),
    );
    await delay(500);
    // Others of the server's are between two statements for a moment.
    const { rows: kept } = await owner.query(
      `SELECT query FROM pg_stat_activity
       WHERE datname = current_database() AND state LIKE 'idle in%' AND state_change < now() - interval '250 milliseconds'`,
    );
    expect(kept).toEqual([]);
    // They have not come to their end, and others are served beside them.
    const third = await exported(tenant, 'jsonl');
    expect(third.status).toBe(503);
    expect(await third.json()).toEqual({ error: '2 exports of yours are under way: wait for one to end.' });
    let bytes = 0;
    for await (const chunk of answers[0]!) bytes += (chunk as Buffer).length;
    expect(bytes).toBeGreaterThan(60_000 * 200);
    answers[1]!.destroy();
    await expect.poll(async () => (await exported(tenant, 'csv')).status).toBe(200);
  }, 60_000);
});

describe('refuses', () => {
  it('whoever may not read usage, and whoever is nobody', async () => {
    const tenant = await server.createTenant({ scopes: ['INFER'] });
    const forbidden = await exported(tenant, 'csv');
    expect(forbidden.status).toBe(403);
    expect(await forbidden.json()).toEqual({
      error: 'usage needs the scope USAGE_READ, which this credential lacks.',
    });
    const nobody = await fetch(`${server.url}/usage/events.csv?${new URLSearchParams(span)}`);
    expect(nobody.status).toBe(401);
    expect(nobody.headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each([
    [{ to: span.to }, '"from": DateTime must be'],
    [{ ...span, from: 'yesterday' }, '"from": DateTime must be an existing RFC 3339 time in UTC'],
    [{ ...span, to: '2026-02-30T00:00:00Z' }, '"to": DateTime must be an existing'],
    [{ from: span.to, to: span.from }, `"from" is ${span.to}, not before "to", ${span.from}.`],
  ])('a span of %j', async (query, message) => {
    const tenant = await server.createTenant();
    const answer = await exported(tenant, 'csv', query as Record<string, string>);
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { error: string }).error).toContain(message);
  });

  it('HTTP/1.0, in which a file that was broken off looks like a whole one', async () => {
    const tenant = await server.createTenant();
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.write(
      `GET /usage/events.csv?${new URLSearchParams(span)} HTTP/1.0\r\nAuthorization: Bearer ${tenant.key}\r\n\r\n`,
    );
    const answer = await text(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('An export is sent by HTTP/1.1 or newer');
  });

  it('nobody who asks for the head alone, and reads nothing for it', async () => {
    const tenant = await server.createTenant();
    const answer = await fetch(`${server.url}/usage/events.csv?${new URLSearchParams(span)}`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${tenant.key}` },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  });

  it('a form that there is not', async () => {
    const tenant = await server.createTenant();
    for (const form of ['xlsx', 'constructor']) expect((await exported(tenant, form)).status).toBe(404);
  });

  it('more than the plan has points for', async () => {
    const tenant = await server.createTenant({ plan: 'Free' });
    expect((await exported(tenant, 'csv')).status).toBe(200);
    const refused = await exported(tenant, 'csv');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

it('is broken off, and not ended, where the database goes away in between', async () => {
  const tenant = await server.createTenant();
  await addEvents(tenant.id, 60_000);
  const answer = await exported(tenant, 'csv');
  const reader = answer.body!.getReader();
  await reader.read();
  await owner.query('BEGIN');
  try {
    await owner.query('LOCK TABLE usage_event IN ACCESS EXCLUSIVE MODE');
    const readAll = async () => {
      while (!(await reader.read()).done);
    };
    await expect(readAll()).rejects.toThrow();
  } finally {
    await owner.query('ROLLBACK');
  }
  expect((await exported(tenant, 'csv')).status).toBe(200);
}, 60_000);
