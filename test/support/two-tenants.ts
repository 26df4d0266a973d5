import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { inject } from 'vitest';
import { createLogger } from '../../src/lib/logger.ts';
import { Ledger } from '../../src/metering/ledger.ts';
import { tiny } from '../models/model-folder.ts';
import { tinyClassifier } from '../models/tiny-classifier.ts';
import type { GraphqlClient } from './graphql-client.ts';
import { importManifest, importMarker } from './imported-models.ts';
import { databaseUrl } from './postgres.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from './server.ts';
import { upload } from './uploaded.ts';

/** A tenant that has rows in every table. */
export interface Inhabitant extends TestTenant {
  /** As its owner, signed in. */
  readonly member: GraphqlClient;
  /** By a client token of its key's that may spend 5 units. */
  readonly visitor: GraphqlClient;
  readonly refreshToken: string;
  /** Global ids of its key and its models, and the models' labels. */
  readonly keyId: string;
  readonly twinId: string;
  readonly ownId: string;
  readonly labels: readonly string[];
  /** What its detector `finder` and its segmenter `cutter` find; both tenants have models of these names. */
  readonly marker: string;
  /** The name of a model that it alone has; the other, `twin`, both have. */
  readonly ownName: string;
  readonly units: number;
  /** What it was answered under the idempotency key that `keyed` carries. */
  readonly firstRequestId: string;
  readonly keyed: Record<string, unknown>;
  /** A picture that it uploaded. */
  readonly uploadId: string;
}

export interface TwoTenants {
  readonly server: TestServer;
  readonly mine: Inhabitant;
  readonly theirs: Inhabitant;
  /** Whom no policy holds. */
  readonly superuser: pg.Client;
  close(): Promise<void>;
}

/** The real server with two tenants that have used everything there is. */
export async function openTwoTenants(): Promise<TwoTenants> {
  const server = await startServer();
  const superuser = new pg.Client(
    databaseUrl(inject('postgres').adminUrl, new URL(server.databaseUrl).pathname.slice(1)),
  );
  await superuser.connect();
  return {
    server,
    superuser,
    mine: await settle(server, 'mine', 1),
    theirs: await settle(server, 'theirs', 3),
    async close() {
      await superuser.end();
      await server.close();
    },
  };
}

async function settle(server: TestServer, word: string, units: number): Promise<Inhabitant> {
  const tenant = await server.createTenant();
  const { client, email, password } = tenant;
  const labels = ['ant', 'bee', 'cat', 'dog'].map((animal) => `${word} ${animal}`);
  const [ownName, images] = [`only-${word}`, Array(units).fill({ base64: examplePicture() })];
  const [twin, own] = [
    await importTiny(server, tenant.id, 'twin', labels),
    await importTiny(server, tenant.id, ownName, labels),
  ];
  const target = { server, tenantId: tenant.id };
  const markers = { size: 64, label: `${word} marker` };
  await importMarker({ ...markers, name: 'finder', head: 'detections' }, target);
  await importMarker({ ...markers, name: 'cutter', head: 'mask-logits' }, target);

  const { signIn } = await client
    .as(null)
    .data<{ signIn: { token: string; refreshToken: string } }>(
      'mutation($input: SignInInput!) { signIn(input: $input) { token refreshToken } }',
      { input: { email, password } },
    );
  const { apiKeys } = await client.data<{ apiKeys: { edges: [{ node: { id: string } }] } }>(
    '{ apiKeys { edges { node { id } } } }',
  );
  const keyed = { images, idempotencyKey: `the key of ${word}` };
  const { data } = await client.classify(keyed);

  // Its units are counted in a row of its own.
  const { createClientToken } = await client.data<{ createClientToken: { token: string } }>(
    'mutation { createClientToken(input: { maxUnits: 5 }) { token } }',
  );

  // A request that is in flight for as long as the test runs.
  const ledger = new Ledger(server.context.database.ledger, createLogger('fatal'));
  const held = { requestId: uuidv7(), tenantId: tenant.id, units: 0, limit: null, hardLimit: false };
  await ledger.reserve({ ...held, ttlMs: 3_600_000, idempotency: null });

  return {
    ...tenant,
    member: client.as(signIn.token),
    visitor: client.as(createClientToken.token),
    refreshToken: signIn.refreshToken,
    keyId: apiKeys.edges[0].node.id,
    twinId: `model_${twin.id}`,
    ownId: `model_${own.id}`,
    labels,
    marker: markers.label,
    ownName,
    units,
    uploadId: await upload(client),
    firstRequestId: data!.classify.receipt.requestId,
    keyed,
  };
}

async function importTiny(server: TestServer, tenantId: string, name: string, labels: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-manifest-'));
  try {
    writeFileSync(join(folder, 'tiny.onnx'), tinyClassifier(tiny));
    writeFileSync(join(folder, 'labels.txt'), labels.join('\n'));
    const manifest = join(folder, 'manifest.json');
    const about = { name, version: 1, task: 'CLASSIFY', format: 'onnx', file: 'tiny.onnx' };
    const input = { width: 6, height: 4, scale: 1 / 255 };
    writeFileSync(
      manifest,
      JSON.stringify({ ...about, labels: 'labels.txt', input, output: { kind: 'logits' } }),
    );
    return await importManifest(manifest, { server, tenantId });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
