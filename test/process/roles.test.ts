import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { examplePicture } from '../support/server.ts';
import { clientOf, installed, ready } from './installation.ts';
import { heldRequests } from './load.ts';

it('an API that serves, and beside it a process that does what is due', async () => {
  const place = await installed();
  const api = await place.start({ FOVEA_ROLE: 'api' });
  const database = place.superuser();
  await clientOf(api).classify({ images: { base64: examplePicture() } });
  // A request that died with its server, a while ago.
  await database.query(
    `INSERT INTO quota_hold (request_id, tenant_id, meter, period, occurred_at, units, expires_at)
       SELECT gen_random_uuid(), tenant_id, meter, period, now(), 0, now() FROM quota_counter`,
  );
  // Whoever sweeps does so every second.
  await delay(2_500);
  expect(await heldRequests(database)).toBe(1);

  const jobs = await ready(place.runWith({ FOVEA_ROLE: 'jobs', DATABASE_URL: place.databaseUrl() }, 'start'));
  expect(await (await fetch(`${jobs.url}/health/ready`)).json()).toEqual({ status: 'ready' });
  expect(await (await fetch(`${jobs.url}/metrics`)).text()).toContain('fovea_ledger_drifts');
  expect((await fetch(`${jobs.url}/graphql`, { method: 'POST' })).status).toBe(404);
  await expect.poll(() => heldRequests(database), { timeout: 20_000 }).toBe(0);

  jobs.child.kill('SIGTERM');
  expect(await jobs.ended).toMatchObject({ code: 0 });
  expect((await clientOf(api).classify({ images: { base64: examplePicture() } })).data).not.toBeNull();
});
