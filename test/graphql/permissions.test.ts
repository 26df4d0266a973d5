import { buildSchema, graphql } from 'graphql';
import { describe, expect, test } from 'vitest';
import type { GraphqlContext } from '../../src/graphql/context.ts';
import { guardFields } from '../../src/graphql/permissions.ts';
import { createSchema } from '../../src/graphql/schema.ts';
import { permissions } from '../../src/tenants/permissions.ts';
import { principal, startTransport } from './transport-server.ts';

const small = () =>
  buildSchema(
    'type Query { a: Int b: Int thing: Thing } type Mutation { c: Int } type Thing { open: Int closed: Int }',
  );

describe('a schema that does not agree with the table is not served', () => {
  test('root fields without a row are named', () => {
    expect(() => guardFields(small(), { a: 'public', thing: 'public' })).toThrow(/no row in .*: b, c$/);
  });
  test('rows without a field are named', () => {
    const table = { a: 1, b: 1, thing: 1, c: 1, gone: 1, 'Thing.gone': 1, 'Gone.open': 1 };
    expect(() => guardFields(small(), table)).toThrow(
      /name no field of the schema: gone, Thing.gone, Gone.open$/,
    );
  });
});

test('every root field and listed nested field asks first, with its own row, and is not resolved when refused', async () => {
  const asked: string[] = [];
  const table = { a: 1, b: 1, thing: 1, c: 1, 'Thing.closed': 1 };
  const schema = guardFields(small(), table, (_principal, action) => {
    asked.push(action);
    if (String(action) === 'b' || String(action) === 'Thing.closed') throw new Error(`refused ${action}`);
  });
  const { data, errors } = await graphql({
    schema,
    source: '{ a b thing { open closed } }',
    rootValue: { a: 1, b: 2, thing: { open: 3, closed: 4 } },
    contextValue: { principal } as GraphqlContext,
  });
  expect(data).toEqual({ a: 1, b: null, thing: { open: 3, closed: null } });
  expect(errors?.map(({ message }) => message)).toEqual(['refused b', 'refused Thing.closed']);
  expect(asked).toEqual(['a', 'b', 'thing', 'Thing.closed']);
});

test('the schema that is served agrees with the table', () => {
  expect(() => createSchema()).not.toThrow();
});

describe('over HTTP', () => {
  const calls: Record<string, string> = {
    viewer: '{ viewer { principal } }',
    node: '{ node(id: "tenant_01890000-0000-7000-8000-000000000001") { id } }',
    model: '{ model(name: "m") { id } }',
    models: '{ models { totalCount } }',
    usage: '{ usage(from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z") { units } }',
    quota: '{ quota { used } }',
    apiKeys: '{ apiKeys { totalCount } }',
    invoicePreview: '{ invoicePreview { totalCents } }',
    classify: 'mutation { classify(input: { model: "m", images: { base64: "" } }) { receipt { units } } }',
    detect: 'mutation { detect(input: { model: "m", images: { base64: "" } }) { receipt { units } } }',
    segment: 'mutation { segment(input: { model: "m", images: { base64: "" } }) { receipt { units } } }',
    createUpload: 'mutation { createUpload(input: { contentType: "image/png", bytes: 1 }) { id } }',
    createApiKey: 'mutation { createApiKey(input: { name: "k" }) { secret } }',
    rotateApiKey: 'mutation { rotateApiKey(id: "key_x") { secret } }',
    revokeApiKey: 'mutation { revokeApiKey(id: "key_x") { id } }',
    createClientToken: 'mutation { createClientToken(input: {}) { token } }',
    signOut: 'mutation { signOut }',
  };
  const fields = Object.keys(permissions).filter(
    (action) => permissions[action as keyof typeof permissions] !== 'public' && !action.includes('.'),
  );

  test.each(fields)('%s needs a credential', async (field) => {
    const { anonymously } = await startTransport();
    const { status, headers, body } = await anonymously(
      calls[field] ?? `The test does not know how to call ${field}`,
    );
    expect(body.errors?.map(({ extensions }) => extensions.code)).toEqual(['UNAUTHENTICATED']);
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer');
  });

  const scoped = fields.filter((field) => permissions[field as keyof typeof permissions] !== 'principal');
  test.each(scoped)('%s needs its scope', async (field) => {
    const powerless = { ...principal, scopes: new Set<never>() };
    const { execute } = await startTransport({}, { authenticator: { authenticate: async () => powerless } });
    const { status, body } = await execute(calls[field] ?? '');
    expect(status).toBe(403);
    expect(body.errors?.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
  });

  test('an answer that holds something is 200, whatever else was refused', async () => {
    const { anonymously } = await startTransport();
    const { status, headers, body } = await anonymously('{ model(name: "m") { id } __typename }');
    expect(body).toMatchObject({ data: { model: null, __typename: 'Query' }, errors: [{ path: ['model'] }] });
    expect(status).toBe(200);
    expect(headers.get('www-authenticate')).toBeNull();
  });

  test('an id opens no more than the list it is from', async () => {
    const powerless = { ...principal, scopes: new Set<never>() };
    const { execute } = await startTransport({}, { authenticator: { authenticate: async () => powerless } });
    for (const kind of ['key', 'model']) {
      const { status, body } = await execute(
        `{ node(id: "${kind}_01890000-0000-7000-8000-000000000001") { id } }`,
      );
      expect(status).toBe(403);
      expect(body.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
  });
});
