import { expect } from 'vitest';
import type { GraphqlClient } from './graphql-client.ts';
import type { TestServer } from './server.ts';

/** What a tenant's usage of the last hours adds up to. */
export interface Booked {
  readonly requests: number;
  readonly images: number;
  readonly units: number;
  readonly errors: number;
}

export const nothing: Booked = { requests: 0, images: 0, units: 0, errors: 0 };

/** Sees in every place that tells that so much was booked, and that nothing is held for anybody. */
export async function expectBooked(
  server: TestServer,
  client: GraphqlClient,
  expected: Booked,
): Promise<void> {
  const hour = 3_600_000;
  const { quota, usage } = await client.data<{
    quota: { used: number; reserved: number };
    usage: Booked[];
  }>(
    `query($from: DateTime!, $to: DateTime!) {
      quota { used reserved }
      usage(from: $from, to: $to, bucket: HOUR) { requests images units errors }
    }`,
    {
      from: new Date(Date.now() - hour).toISOString(),
      to: new Date(Date.now() + hour).toISOString(),
    },
  );
  const sum = (count: keyof Booked) => usage.reduce((total, point) => total + point[count], 0);
  const found = {
    requests: sum('requests'),
    images: sum('images'),
    units: sum('units'),
    errors: sum('errors'),
  };
  expect(found).toEqual(expected);
  expect(quota).toEqual({ used: expected.units, reserved: 0 });
  expect(await server.heldUnits()).toBe(0);
  await server.expectExactLedger();
}

/** That a tenant's bookings are those answers, each once, and that nothing is held any more and the ledger is exact. */
export async function expectBookedOnce(
  server: TestServer,
  tenantId: string,
  answers: readonly { readonly receipt: { requestId: string; images: number; units: number } }[],
): Promise<void> {
  const { rows } = await server.context.database.ledger.query<{
    request_id: string;
    images: number;
    units: string;
  }>('SELECT request_id, images, units FROM usage_event WHERE tenant_id = $1', [tenantId]);
  const booked = rows.map(({ request_id, images, units }) => `${request_id} ${images} ${units}`);
  const answered = answers.map(({ receipt }) => `${receipt.requestId} ${receipt.images} ${receipt.units}`);
  expect(booked.sort()).toEqual(answered.sort());
  expect(await server.heldUnits()).toBe(0);
  await server.expectExactLedger();
}
