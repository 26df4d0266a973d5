import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type ClientRequest, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { inject } from 'vitest';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { BodyTimes } from '../../src/uploads/receive-body.ts';
import { type CreatedUpload, type Uploader, Uploads } from '../../src/uploads/uploads.ts';
import { startTransport } from '../graphql/transport-server.ts';
import { createTestDatabase } from '../support/database.ts';
import { databaseUrl } from '../support/postgres.ts';
import { type PutAnswer, picture, put } from '../support/uploaded.ts';
import { ManualClock } from '../tenants/fixture.ts';

export const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export const declared = { contentType: 'image/jpeg', bytes: BigInt(picture.byteLength), sha256: null };

export interface Scene {
  readonly database: Database;
  readonly clock: ManualClock;
  /** Where the files are. */
  readonly dir: string;
  /** Another process over the same database and folder. */
  another(parts?: { times?: BodyTimes; database?: Database }): Uploads;
  freshTenant(): Promise<Uploader>;
  /** The tenant's files. */
  filesOf(uploader: Uploader): string[];
  /** How many rows of uploads the tenant has. */
  rowsOf(uploader: Uploader): Promise<number>;
  close(): Promise<void>;
}

/** Uploads over a real database and folder. */
export async function openScene(): Promise<Scene> {
  const testDatabase = await createTestDatabase();
  const database = openDatabase(testDatabase.url);
  const name = new URL(testDatabase.url).pathname.slice(1);
  const superuser = new pg.Client(databaseUrl(inject('postgres').adminUrl, name));
  await superuser.connect();
  const clock = new ManualClock();
  const folder = mkdtempSync(join(tmpdir(), 'fovea-uploads-'));
  const dir = join(folder, 'uploads');
  const logger = createLogger(process.env.FOVEA_LOG_LEVEL ?? 'fatal');
  let tenants = 0;

  return {
    database,
    clock,
    dir,
    another: (parts) => new Uploads({ database, dir, logger, clock, ...parts }),
    async freshTenant() {
      tenants += 1;
      const { rows } = await superuser.query<{ id: string }>(
        `INSERT INTO tenant (id, name, plan_id) SELECT gen_random_uuid(), $1, id FROM plan LIMIT 1 RETURNING id`,
        [`tenant ${tenants}`],
      );
      return { tenantId: rows[0]!.id, apiKeyId: null, tokenId: null, memberId: null };
    },
    filesOf: ({ tenantId }) => {
      const folders = tenants === 0 ? [] : readdirSync(dir);
      return folders.includes(tenantId) ? readdirSync(join(dir, tenantId)) : [];
    },
    rowsOf: ({ tenantId }) => database.asTenant(tenantId, (tx) => tx.upload.count()),
    async close() {
      await superuser.end();
      await database.close();
      await testDatabase.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A client token of the same tenant as `uploader`. */
export const another = (uploader: Uploader): Uploader => ({ ...uploader, tokenId: randomUUID() });

/** Where `upload` is PUT to, once `uploads` is served over HTTP. */
export async function serve(uploads: Uploads): Promise<(upload: CreatedUpload) => string> {
  const { url } = await startTransport({}, { uploads });
  return ({ id, secret }) => `${url}/uploads/${id}?secret=${secret}`;
}

/** A PUT of which each step is the test's. */
export interface SlowPut {
  readonly request: ClientRequest;
  readonly answer: Promise<PutAnswer>;
  send(bytes: Uint8Array): Promise<void>;
}

export function slowPut(url: string, headers: Record<string, string | number> = {}): SlowPut {
  const put = request(url, { method: 'PUT', headers });
  put.flushHeaders();
  const answer = once(put, 'response').then(async ([response]) => {
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return { status: response.statusCode, body: JSON.parse(text) };
  });
  // A test that hangs up expects none.
  answer.catch(() => {});
  put.on('error', () => {});
  return {
    request: put,
    answer,
    send: (bytes) => new Promise((resolve) => put.write(bytes, () => resolve())),
  };
}

export { picture, put };
