import { auditServer } from 'graphql-http';
import { expect, test } from 'vitest';
import { startTransport } from './transport-server.ts';

/**
 * Answers of Apollo's that the specification merely advises against: 400 where an `application/json` answer could be 200
 * (572B an unparsable document, FDE2 an invalid one, 7B9B variables that do not fit).
 */
const deliberate = ['572B', 'FDE2', '7B9B'];

test('the server speaks GraphQL over HTTP as specified', async () => {
  const { url } = await startTransport();
  const results = await auditServer({
    url: `${url}/graphql`,
    // The audits' own GET requests carry nothing that a page of another origin could not send.
    fetchFn: (input: string, init: RequestInit = {}) =>
      fetch(input, {
        ...init,
        headers: { 'apollo-require-preflight': '1', ...(init.headers as Record<string, string>) },
      }),
  });
  const notOk = results.filter(({ status }) => status !== 'ok');
  expect(results.length).toBeGreaterThan(50);
  expect(notOk.map(({ id, status }) => `${status} ${id}`).sort()).toEqual(
    deliberate.map((id) => `warn ${id}`).sort(),
  );
});
