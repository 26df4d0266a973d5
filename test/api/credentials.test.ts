import { generateKeyPairSync } from 'node:crypto';
import { crc32 } from 'node:zlib';
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { generateApiKey } from '../../src/tenants/key-format.ts';
import { expectBooked, nothing } from '../support/booked.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture, startServer, type TestServer, type TestTenant } from '../support/server.ts';

const minute = 60_000;
let server: TestServer;
/** Turned ahead by a test that has something expire. */
let aheadMs = 0;
beforeAll(async () => {
  server = await startServer({}, { clock: { ...systemClock, now: () => Date.now() + aheadMs } });
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

async function createKey(client: GraphqlClient, expiresAt: Date | null = null) {
  const { createApiKey } = await client.data<{ createApiKey: { apiKey: { id: string }; secret: string } }>(
    `mutation($expiresAt: DateTime) {
      createApiKey(input: { name: "another", scopes: [INFER], expiresAt: $expiresAt }) { apiKey { id } secret }
    }`,
    { expiresAt: expiresAt?.toISOString() ?? null },
  );
  return { id: createApiKey.apiKey.id, secret: createApiKey.secret };
}

async function signIn({ client, email, password }: TestTenant): Promise<string> {
  const { signIn } = await client
    .as(null)
    .data<{ signIn: { token: string } }>(
      'mutation($email: String!, $password: String!) { signIn(input: { email: $email, password: $password }) { token } }',
      { email, password },
    );
  return signIn.token;
}

/** All that a caller with this `Authorization` header is told, but for the request's id. */
async function refusal(authorization: string) {
  const anyone = server.operator.as(null);
  const answer = await anyone.classify({ images: image }, { headers: { authorization } });
  const { status, headers, data, errors } = answer;
  return { status, challenge: headers.get('www-authenticate'), data, errors };
}

const unauthenticated = {
  status: 401,
  challenge: 'Bearer',
  data: null,
  errors: [
    {
      message:
        'The credential is not valid: send `Authorization: Bearer <API key or access token>` with one that is neither ' +
        'expired nor revoked.',
      extensions: { code: 'UNAUTHENTICATED' },
    },
  ],
};

describe('a credential that does not hold is UNAUTHENTICATED, in the same words whatever is wrong with it', () => {
  it('an API key that is malformed, mistyped, unknown or has another secret', async () => {
    const { key, client } = await server.createTenant();
    const other = generateApiKey();
    const mistyped = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0');
    const keys = [
      mistyped,
      key.toLowerCase(),
      key.slice(0, -8),
      `${key}0`,
      key.slice(0, 12),
      'fov_',
      'fov_short_secret',
      other.text,
      sameIdOtherSecret(key),
    ];
    for (const wrong of keys) expect(await refusal(`Bearer ${wrong}`)).toEqual(unauthenticated);
    await expectBooked(server, client, nothing);
  });

  it('a header that is not of the Bearer scheme', async () => {
    const { key } = await server.createTenant();
    for (const header of [
      key,
      `Basic ${Buffer.from(`${key}:`).toString('base64')}`,
      `Bearer ${key} ${key}`,
      'Bearer',
      '',
    ])
      expect(await refusal(header)).toEqual(unauthenticated);
  });

  it('a revoked, a rotated and an expired key', async () => {
    const { client } = await server.createTenant();
    const revoked = await createKey(client);
    const rotated = await createKey(client);
    const expiring = await createKey(client, new Date(Date.now() + 10 * minute));
    for (const { secret } of [revoked, rotated, expiring]) {
      expect((await client.as(secret).classify({ images: image })).errors).toEqual([]);
    }
    await client.data('mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }', { id: revoked.id });
    await client.data('mutation($id: ID!) { rotateApiKey(id: $id) { secret } }', { id: rotated.id });
    expect(await refusal(`Bearer ${revoked.secret}`)).toEqual(unauthenticated);
    expect(await refusal(`Bearer ${rotated.secret}`)).toEqual(unauthenticated);
    aheadMs = 11 * minute;
    try {
      expect(await refusal(`Bearer ${expiring.secret}`)).toEqual(unauthenticated);
    } finally {
      aheadMs = 0;
    }
    await expectBooked(server, client, { requests: 3, images: 3, units: 3, errors: 0 });
  });

  it('a token that is unsigned, signed by others, altered, expired or signed out', async () => {
    const tenant = await server.createTenant();
    const { client } = tenant;
    const token = await signIn(tenant);
    expect((await client.as(token).classify({ images: image })).errors).toEqual([]);

    const { header, payload } = jwt.decode(token, { complete: true })!;
    const { kid } = header;
    const claims = payload as jwt.JwtPayload;
    const ours = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const [head, body, signature] = token.split('.') as [string, string, string];
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forged = [
      `${part({ alg: 'none', typ: 'JWT', kid })}.${body}.`,
      `${part({ alg: 'none', typ: 'JWT', kid })}.${body}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      jwt.sign(claims, ours, { algorithm: 'ES256', keyid: kid! }),
      jwt.sign(claims, ours, { algorithm: 'ES256', keyid: 'no-such-key' }),
      jwt.sign(claims, ours, { algorithm: 'ES256' }),
      jwt.sign(claims, 'a shared secret', { algorithm: 'HS256', keyid: kid! }),
      `${head}.${part({ ...claims, exp: claims.exp! + 3_600 })}.${signature}`,
      `${head}.${part({ ...claims, sub: '01890000-0000-7000-8000-000000000001' })}.${signature}`,
      `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      'a.b.c',
      'null',
    ];
    for (const forgery of forged) expect(await refusal(`Bearer ${forgery}`)).toEqual(unauthenticated);

    aheadMs = 16 * minute;
    try {
      expect(await refusal(`Bearer ${token}`)).toEqual(unauthenticated);
    } finally {
      aheadMs = 0;
    }
    await client.as(token).data('mutation { signOut }');
    expect(await refusal(`Bearer ${token}`)).toEqual(unauthenticated);
    await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
  });

  it('no credential at all is asked for one, and nothing is run', async () => {
    const { status, headers, data, errors } = await server.operator.as(null).classify({ images: image });
    expect({ status, data, challenge: headers.get('www-authenticate') }).toEqual({
      status: 401,
      data: null,
      challenge: 'Bearer',
    });
    expect(errors).toMatchObject([
      {
        message: 'This needs a credential: send `Authorization: Bearer <API key or access token>`.',
        extensions: { code: 'UNAUTHENTICATED' },
      },
    ]);
  });
});

describe('a key without the scope is FORBIDDEN', () => {
  it('before anything is looked up: the answer is the same for a model that is not there', async () => {
    const { client, id } = await server.createTenant({ scopes: ['USAGE_READ', 'MODELS_READ'] });
    const refused = {
      status: 403,
      data: null,
      errors: [
        {
          message: 'classify needs the scope INFER, which this credential lacks.',
          extensions: { code: 'FORBIDDEN' },
        },
      ],
    };
    for (const model of ['shapes', 'no-such-model']) {
      const answer = await client.classify({ model, images: image });
      expect(answer).toMatchObject(refused);
      expect(JSON.stringify(answer)).not.toContain(id);
    }
    await expectBooked(server, client, nothing);
  });
});

/** A well-formed key under a known key's id. */
function sameIdOtherSecret(key: string): string {
  const body = `${key.slice(0, 13)}${generateApiKey().secret}`;
  return body + crc32(body).toString(16).padStart(8, '0');
}
