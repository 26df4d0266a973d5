import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UnauthenticatedError } from '../../src/lib/errors.ts';
import { accessTokenSeconds } from '../../src/tenants/access-tokens.ts';
import { SigningKeys } from '../../src/tenants/signing-keys.ts';
import {
  freshTenant,
  heardAll,
  type Installation,
  openInstallation,
  type Process,
  password,
} from './fixture.ts';

let installation: Installation;
let email: string;
let claims: { sub: string; sid: string; iat: number; exp: number; iss: string; aud: string };
let signingKey: { kid: string; private_pem: string; public_pem: string };

beforeAll(async () => {
  installation = await openInstallation();
});
afterAll(() => installation?.stop());
beforeEach(async () => {
  ({ email } = await freshTenant(installation));
  const { token } = await installation.sessions.signIn(email, password, '192.0.2.1');
  claims = jwt.decode(token) as typeof claims;
  const { rows } = await installation.superuser.query('SELECT * FROM signing_key WHERE retired_at IS NULL');
  signingKey = rows[0];
});

function keysOf({ database, notifications }: Process): SigningKeys {
  return new SigningKeys(database, notifications, installation.clock);
}

function signed(
  changes: Partial<typeof claims> = {},
  key = signingKey.private_pem,
  kid = signingKey.kid,
): string {
  return jwt.sign({ ...claims, ...changes }, key, { algorithm: 'ES256', keyid: kid });
}

function unsigned(header: object, payload: object = claims): string {
  return [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
}

async function accepted(token: string): Promise<boolean> {
  const outcome = await installation.authenticator
    .authenticate(`Bearer ${token}`, '192.0.2.1')
    .catch((error: unknown) => error);
  if (outcome instanceof Error && !(outcome instanceof UnauthenticatedError)) throw outcome;
  return !(outcome instanceof Error);
}

describe('an access token', () => {
  test('is a JWT of 15 minutes, signed with ES256, that names nothing but member and session', async () => {
    const { token, expiresAt, principal } = await installation.sessions.signIn(email, password, '192.0.2.1');
    const { header, payload } = jwt.verify(token, signingKey.public_pem, {
      complete: true,
      audience: 'fovea-api',
    });
    const iat = Math.floor(installation.clock.now() / 1000);
    expect(header).toEqual({ alg: 'ES256', typ: 'JWT', kid: signingKey.kid });
    expect(payload).toEqual({
      sub: principal.memberId,
      sid: principal.sessionId,
      iss: 'fovea',
      aud: 'fovea-api',
      iat,
      exp: iat + accessTokenSeconds,
    });
    expect(expiresAt.getTime()).toBe((iat + 900) * 1000);
  });

  test('made by hand with the right key is accepted: what the refusals below change is what they are refused for', async () => {
    expect(await accepted(signed())).toBe(true);
  });

  test('expires, however often it was used before', async () => {
    const token = signed();
    expect(await accepted(token)).toBe(true);
    installation.clock.advance(claims.exp * 1000 - installation.clock.now() - 1);
    expect(await accepted(token)).toBe(true);
    installation.clock.advance(1);
    expect(await accepted(token)).toBe(false);
    expect(await accepted(`${signed().slice(0, -4)}AAAA`)).toBe(false);
  });
});

describe('a forged token is refused', () => {
  test.each(['none', 'None', 'NONE', 'nOnE'])('unsigned, alg %s', async (alg) => {
    const text = unsigned({ alg, typ: 'JWT', kid: signingKey.kid });
    for (const token of [text, `${text}.`, `${text}.AAAA`]) expect(await accepted(token)).toBe(false);
  });

  test('signed by HS256 with the public key taken for a shared secret', async () => {
    const text = unsigned({ alg: 'HS256', typ: 'JWT', kid: signingKey.kid });
    const der = createPublicKey(signingKey.public_pem).export({ type: 'spki', format: 'der' });
    for (const secret of [signingKey.public_pem, signingKey.public_pem.trim(), der]) {
      const mac = createHmac('sha256', secret).update(text).digest('base64url');
      expect(await accepted(`${text}.${mac}`)).toBe(false);
    }
  });

  test('signed with another key, under our key’s id or an unknown one', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
    expect(await accepted(signed({}, other))).toBe(false);
    expect(await accepted(signed({}, other, 'unknown'))).toBe(false);
    expect(await accepted(signed({}, signingKey.private_pem, 'unknown'))).toBe(false);
  });

  test('signed with our key by another algorithm', async () => {
    const text = unsigned({ alg: 'ES384', typ: 'JWT', kid: signingKey.kid });
    const signature = sign('sha384', Buffer.from(text), {
      key: signingKey.private_pem,
      dsaEncoding: 'ieee-p1363',
    });
    expect(await accepted(`${text}.${signature.toString('base64url')}`)).toBe(false);
  });

  test('with the key in its own header', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const text = unsigned({
      alg: 'ES256',
      typ: 'JWT',
      kid: signingKey.kid,
      jwk: publicKey.export({ format: 'jwk' }),
    });
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    expect(await accepted(`${text}.${signature.toString('base64url')}`)).toBe(false);
  });

  test('with other claims under a signature that was good', async () => {
    const other = await freshTenant(installation);
    const { principal } = await installation.sessions.signIn(other.email, password, '192.0.2.1');
    const [header, , signature] = signed().split('.');
    const payload = { ...claims, sub: principal.memberId, sid: principal.sessionId };
    expect(
      await accepted(`${header}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.${signature}`),
    ).toBe(false);
  });

  test.each([
    ['an audience that is not ours', { aud: 'another-api' }],
    ['an issuer that is not us', { iss: 'someone' }],
    ['an expiry in the past', { exp: 1 }],
    ['an age over 15 minutes', { iat: 1 }],
    ['a session that never was', { sid: randomUUID() }],
    ['another member', { sub: randomUUID() }],
  ])('even with our signature: %s', async (_, changes) => {
    expect(await accepted(signed(changes))).toBe(false);
  });

  test.each(['exp', 'iat', 'sub', 'sid', 'aud', 'iss'] as const)(
    'even with our signature: without %s',
    async (claim) => {
      const { [claim]: _, ...rest } = claims;
      const text = unsigned({ alg: 'ES256', typ: 'JWT', kid: signingKey.kid }, rest);
      const signature = sign('sha256', Buffer.from(text), {
        key: signingKey.private_pem,
        dsaEncoding: 'ieee-p1363',
      });
      expect(await accepted(`${text}.${signature.toString('base64url')}`)).toBe(false);
    },
  );

  test.each(['a.b.c', '..', 'e30.e30.', 'bnVsbA.bnVsbA.x', 'W251bGxd.W10.x', 'W10.W10.W10'])(
    'garbage: %s',
    async (token) => {
      expect(await accepted(token)).toBe(false);
    },
  );
});

describe('rotating the signing key', () => {
  test('new tokens bear the new key; old ones hold until they expire, and no longer', async () => {
    const { sessions, clock } = installation;
    const before = await sessions.signIn(email, password, '192.0.2.1');
    await keysOf(installation).rotate();
    await heardAll(installation);
    const after = await sessions.signIn(email, password, '192.0.2.1');
    const kids = [before, after].map(({ token }) => jwt.decode(token, { complete: true })?.header.kid);
    expect(kids[0]).toBe(signingKey.kid);
    expect(kids[1]).not.toBe(kids[0]);
    expect([await accepted(before.token), await accepted(after.token)]).toEqual([true, true]);

    const { rows } = await installation.superuser.query(
      'SELECT private_pem FROM signing_key WHERE kid = $1',
      [kids[0]],
    );
    expect(rows).toEqual([{ private_pem: null }]);

    clock.advance(accessTokenSeconds * 1000);
    // Whoever stole the retired key cannot make tokens with it any more.
    const now = Math.floor(clock.now() / 1000);
    expect(await accepted(signed({ iat: now, exp: now + 900 }))).toBe(false);
  });

  test('at once from several processes leaves one active key that all of them use', async () => {
    const other = await installation.startProcess();
    try {
      await Promise.all(
        [installation, other, installation, other].map((process) => keysOf(process).rotate()),
      );
      const { rows } = await installation.superuser.query(
        'SELECT kid FROM signing_key WHERE retired_at IS NULL',
      );
      expect(rows).toHaveLength(1);
      expect((await keysOf(installation).active()).kid).toBe(rows[0].kid);
    } finally {
      await other.stop();
    }
  });
});

test('processes that find no signing key make a single one', async () => {
  const fresh = await openInstallation();
  const other = await fresh.startProcess();
  try {
    const keys = await Promise.all([fresh, other, fresh, other].map((process) => keysOf(process).active()));
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(1);
  } finally {
    await other.stop();
    await fresh.stop();
  }
});
