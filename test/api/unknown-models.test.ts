import { afterAll, beforeAll, expect, it } from 'vitest';
import { modelFolder } from '../models/model-folder.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import { runCommand } from '../support/command-line.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

/** Sees that a model, or its variant, is not found, and answers what was said. */
async function notFound(client: GraphqlClient, input: Record<string, unknown>): Promise<string> {
  const { status, data, errors } = await client.classify({ images: image, ...input });
  expect({ status, data, codes: errors.map(({ extensions }) => extensions) }).toEqual({
    status: 200,
    data: null,
    codes: [{ code: 'NOT_FOUND' }],
  });
  return errors[0]!.message;
}

it("an unknown model and another tenant's are NOT_FOUND in the same words, wherever they are asked for", async () => {
  const [owner, other] = await Promise.all([server.createTenant(), server.createTenant()]);
  const manifest = modelFolder({ manifest: { name: 'private' } });
  const imported = await runCommand(
    server,
    ...['models', 'import', manifest, '--tenant', owner.name, '--json'],
  );
  expect(imported).toMatchObject({ exitCode: 0 });
  expect(JSON.parse(imported.stdout)).toMatchObject({ isPublic: false, servers: 1 });

  const own = await owner.client.classify({ model: 'private', images: image });
  expect(own.errors).toEqual([]);
  const id = `model_${JSON.parse(imported.stdout).id}`;
  const ask = `query($id: ID!) {
    private: model(name: "private") { id }
    none: model(name: "none") { id }
    node(id: $id) { id }
    models { edges { node { name } } }
  }`;
  const seen = await owner.client.data<{ private: unknown }>(ask, { id });
  expect(seen).toMatchObject({ private: { id }, none: null, node: { id } });

  for (const reference of ['private', 'private@1', 'private@2']) {
    const nobodys = reference.replace('private', 'nothing');
    const said = await notFound(other.client, { model: reference });
    expect(said).toBe((await notFound(other.client, { model: nobodys })).replace(nobodys, reference));
    // A variant is not looked for in what is not there.
    expect(await notFound(other.client, { model: reference, compression: 'INT8' })).toBe(said);
  }
  expect(await other.client.data(ask, { id })).toEqual({
    private: null,
    none: null,
    node: null,
    models: { edges: ['shapes', 'shapes-detect', 'shapes-segment'].map((name) => ({ node: { name } })) },
  });

  await expectBooked(server, other.client, nothing);
  await expectBooked(server, owner.client, { requests: 1, images: 1, units: 1, errors: 0 });
});

it('what can be no name is a name that nobody has, and is not echoed at length', async () => {
  const { client } = await server.createTenant();
  for (const model of ['', ' ', 'shapes@', 'shapes@x', 'shapes@1@1', '../shapes', "shapes' OR 1=1", 'Shapes'])
    expect(await notFound(client, { model })).toContain(JSON.stringify(model));
  expect((await notFound(client, { model: 'x'.repeat(1_000_000) })).length).toBeLessThan(2_000);
  await expectBooked(server, client, nothing);
});

it('a variant that does not exist is NOT_FOUND with those that do', async () => {
  const { client } = await server.createTenant();
  for (const compression of ['INT8', 'FLOAT16', 'PRUNED']) {
    expect(await notFound(client, { compression })).toBe(
      `input.compression: shapes@1 has no variant of compression ${compression}; it has NONE.`,
    );
  }
  expect(await notFound(client, { model: 'shapes@1', compression: 'INT8' })).toContain('it has NONE');
  await expectBooked(server, client, nothing);
});
