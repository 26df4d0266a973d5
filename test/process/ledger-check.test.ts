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

  await server.context.database.ledger.query(
    'UPDATE quota_counter SET used = used + 7 WHERE tenant_id = $1',
    [id],
  );
  const drifted = await runCommand(server, 'ledger', 'check', '--json');
  expect(drifted.exitCode).toBe(1);
  expect(JSON.parse(drifted.stdout)).toMatchObject({ exact: false, drifts: [{ tenantId: id, sum: 'used' }] });
});
