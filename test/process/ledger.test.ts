import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCommand } from '../support/command-line.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

it('tells an exact ledger from one that drifts, by its exit code too', async () => {
  const { client, id } = await server.createTenant();
  await client.classify({ images: { base64: examplePicture() } });
  const exact = await runCommand(server, 'ledger', 'check');
  expect(exact).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Exact') });

  const nothing = await runCommand(server, 'ledger', 'check', '--from', '2062-11');
  expect(nothing).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('nothing was checked') });
  const local = await runCommand(server, 'ledger', 'check', '--to', '2026-11-01T00:00');
  expect(local).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('a time in UTC') });

  const drift = (units: number) =>
    server.context.database.ledger.query('UPDATE quota_counter SET used = used + $2 WHERE tenant_id = $1', [
      id,
      units,
    ]);
  await drift(7);
  const drifted = await runCommand(server, 'ledger', 'check', '--json');
  expect(drifted.exitCode).toBe(1);
  expect(JSON.parse(drifted.stdout)).toMatchObject({ exact: false, drifts: [{ tenantId: id, sum: 'used' }] });
  await drift(-7);
});

it('gives units back, which the tenant sees, and the ledger stays exact', async () => {
  const { client, name } = await server.createTenant();
  const images = Array.from({ length: 3 }, () => ({ base64: examplePicture() }));
  const { data } = await client.classify({ images });
  const { requestId } = data!.classify.receipt;
  const correct = (units: string) => {
    const why = ['--reason', 'all three were one picture', '--author', 'Ada'];
    return runCommand(server, 'ledger', 'correct', requestId, '--tenant', name, '--units', units, ...why);
  };
  expect(await correct('2')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(
      `^2 units are given back to ${name}: of the request 1 are still billed. Correction [0-9a-f-]{36}.\n$`,
    ),
  });
  expect(await client.data('{ quota { used } }')).toEqual({ quota: { used: 1 } });
  expect(await correct('2')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('1 units are billed, 2 cannot be given back: name 1 at most.'),
  });
  const formula = ['--reason', '=HYPERLINK("x")', '--author', 'Ada'];
  expect(
    await runCommand(server, 'ledger', 'correct', requestId, '--tenant', name, '--units', '1', ...formula),
  ).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--reason: found "="') });
  expect(await correct('half')).toMatchObject({
    exitCode: 2,
    stderr: '--units: found half, wanted a whole number above 0.\n',
  });
  await server.expectExactLedger();
}, 60_000);
