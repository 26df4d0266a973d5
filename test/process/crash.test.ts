import { expect, it, vi } from 'vitest';
import { clientOf, installed, kill, patience, pidOf, processesOf } from './installation.ts';
import { expectBookedIsAnswered, startLoad, sweepHolds } from './load.ts';

const withinTenSeconds = 10_000;

it('a server killed under load is replaced by its next start, and no acknowledged answer is lost', async () => {
  const place = await installed();
  const server = await place.start();
  const load = startLoad(clientOf(server));
  await load.answered(200);
  const postgres = pidOf('postgres', place);

  kill(server.child.pid!, 'SIGKILL');
  expect(await server.ended).toMatchObject({ code: 'SIGKILL' });
  await load.ended();
  expect(load.refused).toEqual([]);
  await vi.waitUntil(() => processesOf(place.dataDir).length === 1, patience);
  expect(pidOf('postgres', place)).toBe(postgres);

  const restarted = performance.now();
  const next = await place.start();
  expect(performance.now() - restarted).toBeLessThan(withinTenSeconds);
  expect(pidOf('postgres', place)).toBe(postgres);

  const database = place.superuser();
  await sweepHolds(database);
  await expectBookedIsAnswered(load, clientOf({ ...next, key: server.key }), database);
});

it('a server whose worker or database is killed under load serves again by itself, and its books are right', async () => {
  const place = await installed();
  const server = await place.start();
  const client = clientOf(server);
  const load = startLoad(client);

  await load.answered(100);
  const worker = pidOf('worker', place);
  kill(worker, 'SIGKILL');
  await load.answered(load.acknowledged.length + 200);
  expect(pidOf('worker', place)).not.toBe(worker);
  expect(load.refused).toEqual([]);

  const postgres = pidOf('postgres', place);
  kill(postgres, 'SIGKILL');
  await vi.waitUntil(
    () => processesOf(place.dataDir).some(({ pid }) => pid === postgres) === false,
    patience,
  );
  await load.answered(load.acknowledged.length + 200);
  expect(pidOf('postgres', place)).not.toBe(postgres);
  load.stop();
  await load.ended();
  expect(load.broken).toEqual([]);

  expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  const database = place.superuser();
  await sweepHolds(database);
  await expectBookedIsAnswered(load, client, database);
});
