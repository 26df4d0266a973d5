import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BadUserInputError, ForbiddenError, UnauthenticatedError } from '../../src/lib/errors.ts';
import { KeyedMutex } from '../../src/lib/keyed-mutex.ts';
import { createLogger } from '../../src/lib/logger.ts';
import type { NewClientToken } from '../../src/tenants/new-client-token.ts';
import { SigningKeys } from '../../src/tenants/signing-keys.ts';
import { TokenBudget } from '../../src/tenants/token-budget.ts';
import type { Principal } from '../../src/tenants/types.ts';
import {
  eventually,
  freshTenant,
  heardAll,
  type Installation,
  openInstallation,
  type Process,
  password,
  rejection,
} from './fixture.ts';

let installation: Installation;
let other: Process;
beforeAll(async () => {
  installation = await openInstallation();
  other = await installation.startProcess();
});
afterAll(async () => {
  await other?.stop();
  await installation?.stop();
});

let tenant: Awaited<ReturnType<typeof freshTenant>>;
beforeEach(async () => {
  tenant = await freshTenant(installation);
});

const plain: NewClientToken = {
  scopes: ['INFER'],
  models: null,
  maxUnits: null,
  origins: null,
  ttlSeconds: 600,
};
const page = 'https://app.example';

const mint = (wish: Partial<NewClientToken> = {}, by: Principal = tenant.principal) =>
  installation.clientTokens.mint(by, { ...plain, ...wish });

async function mintedPrincipal(wish: Partial<NewClientToken> = {}): Promise<Principal> {
  const principal = await principalOf((await mint(wish)).token, wish.origins?.[0]);
  expect(principal).not.toBeNull();
  return principal!;
}

function principalOf(token: string, origin?: string, { authenticator }: Process = installation) {
  return authenticator.authenticate(`Bearer ${token}`, '192.0.2.1', origin);
}

/** null: UNAUTHENTICATED. */
function acceptedBy(process: Process, token: string): Promise<Principal | null> {
  return principalOf(token, undefined, process).catch((error: unknown) => {
    if (error instanceof UnauthenticatedError) return null;
    throw error;
  });
}

const accepted = async (token: string) => (await acceptedBy(installation, token)) !== null;

async function anotherKey(expiresAt: Date | null = null) {
  const { apiKey, secret } = await installation.apiKeys.createForTenant(tenant.tenant.id, {
    name: 'another',
    scopes: ['INFER'],
    expiresAt,
  });
  return { apiKey, principal: (await principalOf(secret))! };
}

describe('a client token', () => {
  test('stands for the key that minted it, with no more than it was minted with', async () => {
    const wish: Partial<NewClientToken> = {
      scopes: ['USAGE_READ', 'INFER'],
      models: ['shapes', 'shapes@2'],
      maxUnits: 7,
      origins: [page],
    };
    expect(await mintedPrincipal(wish)).toEqual({
      ...tenant.principal,
      scopes: new Set(['INFER', 'USAGE_READ']),
      name: 'client token of key first',
      restriction: {
        tokenId: expect.any(String),
        models: ['shapes', 'shapes@2'],
        maxUnits: 7,
        origins: [page],
      },
    });
  });

  test('says to whoever reads it which key it is of, never the key’s secret', async () => {
    const { token } = await mint();
    const text = JSON.stringify(jwt.decode(token, { complete: true }));
    expect(text).toContain(tenant.apiKey.prefix.slice('fov_'.length));
    expect(text).not.toContain(tenant.secret.slice(13, 56));
  });

  test('notes that its key was used', async () => {
    const { apiKey } = await installation.apiKeys.createForTenant(tenant.tenant.id, {
      name: 'quiet',
      scopes: ['INFER'],
    });
    const { token } = await mint({}, { ...tenant.principal, apiKeyId: apiKey.id });
    expect((await installation.apiKeys.get(tenant.principal, apiKey.id))?.lastUsedAt).toBeNull();
    await principalOf(token);
    await installation.close();
    expect((await installation.apiKeys.get(tenant.principal, apiKey.id))?.lastUsedAt).not.toBeNull();
  });

  test('expires after its time, however often it was used before', async () => {
    const { clock } = installation;
    const { token, expiresAt } = await mint({ ttlSeconds: 60 });
    expect(expiresAt.getTime() - clock.now()).toBeLessThanOrEqual(60_000);
    expect(expiresAt.getTime() - clock.now()).toBeGreaterThan(58_999);
    expect(await accepted(token)).toBe(true);
    clock.advance(expiresAt.getTime() - clock.now() - 1);
    expect(await accepted(token)).toBe(true);
    clock.advance(1);
    expect(await accepted(token)).toBe(false);
  });

  test('does not outlive the key’s own expiry', async () => {
    const { clock } = installation;
    const end = new Date(Math.ceil(clock.now() / 1000) * 1000 + 30_000);
    const { principal } = await anotherKey(end);
    const { token, expiresAt } = await mint({ ttlSeconds: 3_600 }, principal);
    expect(expiresAt).toEqual(end);
    expect(await accepted(token)).toBe(true);
    clock.advance(end.getTime() - clock.now());
    expect(await accepted(token)).toBe(false);
  });
});

describe('a token dies with its key, in every process', () => {
  const both = (token: string) =>
    Promise.all([installation, other].map(async (process) => (await acceptedBy(process, token)) !== null));

  test('revoked', async () => {
    const { token } = await mint();
    expect(await both(token)).toEqual([true, true]);
    await installation.apiKeys.revoke(tenant.principal, tenant.apiKey.id);
    expect(await accepted(token)).toBe(false);
    await eventually(async () => (await acceptedBy(other, token)) === null);
  });

  test('rotated out, when its grace ends', async () => {
    const { token } = await mint();
    await installation.apiKeys.rotate(tenant.principal, tenant.apiKey.id, 60);
    await heardAll(other);
    expect(await both(token)).toEqual([true, true]);
    installation.clock.advance(60_000);
    expect(await both(token)).toEqual([false, false]);
  });

  test('rotated out without grace', async () => {
    const { token } = await mint();
    await installation.apiKeys.rotate(tenant.principal, tenant.apiKey.id, 0);
    expect(await accepted(token)).toBe(false);
    await eventually(async () => (await acceptedBy(other, token)) === null);
  });
});

describe('minting is refused', () => {
  test('to a signed-in member, who is told what to do', async () => {
    const { principal } = await installation.sessions.signIn(tenant.email, password, '192.0.2.1');
    const error = await rejection(mint({}, principal));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toMatch(/API keys alone.*createApiKey/);
  });

  test('to a client token', async () => {
    expect(await rejection(mint({}, await mintedPrincipal()))).toBeInstanceOf(ForbiddenError);
  });

  test('for scopes that the key lacks, or that no page should have', async () => {
    const lacking = await anotherKey();
    for (const [by, scopes, message] of [
      [lacking.principal, ['INFER', 'USAGE_READ'], /USAGE_READ.*does not hold/],
      [tenant.principal, ['INFER', 'KEYS_WRITE', 'BILLING'], /KEYS_WRITE, BILLING/],
      [tenant.principal, ['MODELS_WRITE'], /MODELS_WRITE/],
      [tenant.principal, ['TRAINING'], /TRAINING/],
      [tenant.principal, ['ADMIN'], /ADMIN/],
    ] as const) {
      const error = await rejection(mint({ scopes }, by));
      expect(error, scopes.join()).toBeInstanceOf(ForbiddenError);
      expect(error.message).toMatch(message);
    }
  });

  const names = (count: number) => Array.from({ length: count }, (_, n) => `m${n}`);
  const origins = (count: number) => names(count).map((name) => `https://${name}.example`);

  test.each<[string, Partial<NewClientToken>, RegExp]>([
    ['no scope', { scopes: [] }, /scopes is empty/],
    ['no time', { ttlSeconds: 0 }, /ttlSeconds is 0.*1 to 3600/],
    ['more than an hour', { ttlSeconds: 3_601 }, /ttlSeconds is 3601/],
    ['no unit', { maxUnits: 0 }, /maxUnits is 0/],
    ['fewer than none', { maxUnits: -1 }, /maxUnits is -1/],
    ['no model', { models: [] }, /models is empty/],
    ['101 models', { models: names(101) }, /101 models/],
    ['a blank model', { models: [''] }, /name@version/],
    ['a version that is none', { models: ['shapes@0'] }, /"shapes@0"/],
    ['a wildcard for models', { models: ['*'] }, /"\*"/],
    ['no origin', { origins: [] }, /origins is empty/],
    ['21 origins', { origins: origins(21) }, /21 origins/],
    [
      'an origin with a path',
      { origins: [`${page}/`] },
      /"https:\/\/app.example\/".*: https:\/\/app.example\./,
    ],
    ['a wildcard for origins', { origins: ['*'] }, /"\*"/],
    [
      'a token that no header holds',
      { models: names(100).map((name) => name.padEnd(64, 'x')) },
      /characters/,
    ],
  ])('where it asks for %s', async (_, wish, message) => {
    const error = await rejection(mint(wish));
    expect(error).toBeInstanceOf(BadUserInputError);
    expect(error.message).toMatch(message);
    const { rows } = await installation.superuser.query('SELECT FROM client_token WHERE tenant_id = $1', [
      tenant.tenant.id,
    ]);
    expect(rows).toEqual([]);
  });

  test('up to its bounds it is not', async () => {
    await mint({ ttlSeconds: 1, models: names(100), maxUnits: 1, origins: origins(20) });
    await mint({ ttlSeconds: 3_600, models: ['a'.repeat(64), 'shapes@1'], maxUnits: 2 ** 31 - 1 });
  });

  test('for an origin outside the tenant’s list, where it has one', async () => {
    await mint({ origins: ['https://elsewhere.example'] });
    await installation.tenants.setOrigins(tenant.tenant.id, [page]);
    const by = (await principalOf(tenant.secret))!;
    await mint({ origins: [page] }, by);
    const error = await rejection(mint({ origins: [page, 'https://elsewhere.example'] }, by));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toMatch(/does not allow https:\/\/elsewhere.example:.*set-origins/);
  });
});

describe('a token with origins', () => {
  test('is taken from pages of these alone', async () => {
    const { token } = await mint({ origins: [page, 'capacitor://localhost'] });
    for (const origin of [page, 'capacitor://localhost'])
      expect(await principalOf(token, origin)).not.toBeNull();
    for (const [origin, message] of [
      [undefined, /no Origin header/],
      ['https://evil.example', /comes from https:\/\/evil.example/],
      [`${page}.evil.example`, /comes from/],
      [`${page}:8443`, /comes from/],
      ['http://app.example', /comes from/],
      [`${page}, ${page}`, /comes from/],
      ['null', /comes from null/],
      ['', /comes from/],
    ] as const) {
      const error = await rejection(principalOf(token, origin));
      expect(error, origin).toBeInstanceOf(ForbiddenError);
      expect(error.message).toMatch(message);
    }
  });

  test('is UNAUTHENTICATED once it has expired, wherever it comes from', async () => {
    const { token } = await mint({ origins: [page], ttlSeconds: 1 });
    installation.clock.advance(1_000);
    for (const origin of [page, undefined])
      expect(await rejection(principalOf(token, origin))).toBeInstanceOf(UnauthenticatedError);
  });
});

describe('a forged token is refused', () => {
  let claims: Record<string, unknown>;
  let key: { kid: string; private_pem: string; public_pem: string };
  let genuine: string;
  beforeEach(async () => {
    genuine = (await mint({ models: ['shapes'], maxUnits: 5 })).token;
    claims = jwt.decode(genuine) as typeof claims;
    const { rows } = await installation.superuser.query('SELECT * FROM signing_key WHERE retired_at IS NULL');
    key = rows[0];
  });

  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = (alg: string) => part({ alg, typ: 'JWT', kid: key.kid });

  /** With our own key: what the changes are refused for is the claims. */
  const signed = (changes: Record<string, unknown>) => {
    const kept = Object.entries({ ...claims, ...changes }).filter(([, value]) => value !== undefined);
    const text = `${header('ES256')}.${part(Object.fromEntries(kept))}`;
    const signature = sign('sha256', Buffer.from(text), {
      key: key.private_pem,
      dsaEncoding: 'ieee-p1363',
    });
    return `${text}.${signature.toString('base64url')}`;
  };

  test('one made by hand with the right key and claims is not', async () => {
    expect(await accepted(genuine)).toBe(true);
    expect(await accepted(signed({}))).toBe(true);
  });

  test('unsigned, signed by another or by the public key taken for a secret, or altered', async () => {
    const [head, body, signature] = genuine.split('.') as [string, string, string];
    const wider = part({ ...claims, units: null, models: null });
    const otherPem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const hs256 = `${header('HS256')}.${wider}`;
    const mac = createHmac('sha256', key.public_pem).update(hs256).digest('base64url');
    for (const token of [
      `${header('none')}.${wider}.`,
      `${header('none')}.${wider}.${signature}`,
      `${hs256}.${mac}`,
      `${head}.${wider}.${signature}`,
      `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      `${head}.${body}.`,
      jwt.sign(claims, otherPem, { algorithm: 'ES256', keyid: key.kid }),
    ])
      expect(await accepted(token)).toBe(false);
  });

  test.each<[string, Record<string, unknown>]>([
    ['another issuer', { iss: 'someone' }],
    ['no issuer', { iss: undefined }],
    ['another audience', { aud: 'another-api' }],
    ['the audience of access tokens', { aud: 'fovea-api' }],
    ['that, and a session', { aud: 'fovea-api', sid: '01890000-0000-7000-8000-000000000001' }],
    ['an expiry in the past', { exp: 1 }],
    ['no expiry', { exp: undefined }],
    ['an age over an hour', { iat: 1 }],
    ['a key that never was', { sub: 'AAAAAAAA' }],
    ['a bound on units that is none', { units: 'many' }],
    ['no word on units', { units: undefined }],
    ['no word on models', { models: undefined }],
    ['models that are no list', { models: 'shapes' }],
    ['no word on origins', { origins: undefined }],
    ['scopes that are no list', { scopes: 'INFER' }],
  ])('even with our signature: %s', async (_, changes) => {
    expect(await accepted(signed(changes))).toBe(false);
  });

  test('even with our signature it holds no scope that its key lacks, or that no client token can hold', async () => {
    const principal = await principalOf(signed({ scopes: ['INFER', 'KEYS_WRITE', 'ADMIN', 'FLY'] }));
    expect(principal?.scopes).toEqual(new Set(['INFER']));
  });

  test('an access token is no client token', async () => {
    const { token } = await installation.sessions.signIn(tenant.email, password, '192.0.2.1');
    const access = jwt.decode(token) as Record<string, unknown>;
    expect(await accepted(token)).toBe(true);
    expect(await installation.clientTokens.verify(token)).toBeNull();
    expect(await accepted(signed({ ...access, aud: 'fovea-client' }))).toBe(false);
  });
});

test('rotating the signing key leaves tokens their hour, and the retired key no more than that', async () => {
  const { clock, database, notifications } = installation;
  const { token, expiresAt } = await mint({ ttlSeconds: 3_600 });
  const { rows } = await installation.superuser.query('SELECT * FROM signing_key WHERE retired_at IS NULL');
  await new SigningKeys(database, notifications, clock).rotate();
  await heardAll(installation);
  await heardAll(other);
  clock.advance(expiresAt.getTime() - clock.now() - 1);
  // The other process has not seen it before: it needs the retired key to verify it.
  expect(await acceptedBy(other, token)).not.toBeNull();
  clock.advance(1_001);
  expect(await acceptedBy(other, token)).toBeNull();
  const now = Math.floor(clock.now() / 1000);
  const late = { ...(jwt.decode(token) as object), iat: now, exp: now + 600 };
  const { private_pem, kid } = rows[0];
  expect(await accepted(jwt.sign(late, private_pem, { algorithm: 'ES256', keyid: kid }))).toBe(false);
});

describe('what a token may spend', () => {
  const spent = async () => {
    const { rows } = await installation.superuser.query(
      'SELECT spent::int FROM client_token WHERE tenant_id = $1',
      [tenant.tenant.id],
    );
    return rows.map((row) => row.spent);
  };

  const budgetOf = (principal: Principal, { clientTokens }: Process = installation) => {
    const budget = clientTokens.budget(principal);
    if (!budget) throw new Error('a bound on units was asked for');
    return budget;
  };

  test('is bounded where it was minted so, and nowhere else', async () => {
    expect(installation.clientTokens.budget(tenant.principal)).toBeNull();
    expect(installation.clientTokens.budget(await mintedPrincipal())).toBeNull();
    expect(await spent()).toEqual([]);
    expect(installation.clientTokens.budget(await mintedPrincipal({ maxUnits: 1 }))).not.toBeNull();
    expect(await spent()).toEqual([0]);
  });

  test('is taken whole or not at all, and given back', async () => {
    const budget = budgetOf(await mintedPrincipal({ maxUnits: 5 }));
    await budget.take(3);
    const error = await rejection(budget.take(3));
    expect(error).toBeInstanceOf(ForbiddenError);
    expect(error.message).toMatch(/costs 3 units, and 2 of/);
    await budget.take(2);
    expect(await spent()).toEqual([5]);
    await budget.giveBack(0);
    await budget.giveBack(4);
    expect(await spent()).toEqual([1]);
    await budget.giveBack(2);
    expect(await spent()).toEqual([1]);
  });

  test('is exact under 64 requests at once in two processes', async () => {
    const principal = await mintedPrincipal({ maxUnits: 100 });
    const budgets = [budgetOf(principal), budgetOf(principal, other)];
    const taken = await Promise.all(
      Array.from({ length: 64 }, async (_, n) => {
        const units = (n % 5) + 1;
        const outcome = await budgets[n % 2]!.take(units).catch((error: unknown) => error);
        if (outcome !== undefined && !(outcome instanceof ForbiddenError)) throw outcome;
        return outcome === undefined ? units : 0;
      }),
    );
    const total = taken.reduce((sum, units) => sum + units, 0);
    expect(await spent()).toEqual([total]);
    expect(total).toBeLessThanOrEqual(100);
    // Whoever was refused would have gone over: the smallest request that was is larger than what is left.
    for (const units of [1, 2, 3, 4, 5].filter((units) => units <= 100 - total)) {
      await budgets[0]!.take(units);
      await budgets[0]!.giveBack(units);
    }
    await budgets[1]!.take(100 - total);
    expect(await rejection(budgets[0]!.take(1))).toBeInstanceOf(ForbiddenError);
  });

  test('is each token’s own, and no other tenant’s to spend', async () => {
    const mine = await mintedPrincipal({ maxUnits: 2 });
    const stranger = await freshTenant(installation);
    const { tokenId } = mine.restriction!;
    const logger = createLogger('silent');
    const stolen = new TokenBudget(
      installation.database,
      logger,
      new KeyedMutex(),
      stranger.tenant.id,
      tokenId,
    );
    expect(await rejection(stolen.take(1))).toBeInstanceOf(ForbiddenError);
    await budgetOf(mine).take(1);
    await stolen.giveBack(1);
    expect(await spent()).toEqual([1]);
    await mintedPrincipal({ maxUnits: 9 });
    expect((await spent()).sort()).toEqual([0, 1]);
  });

  test('is forgotten some time after the token has expired, when the next is minted', async () => {
    await mint({ maxUnits: 1, ttlSeconds: 60 });
    installation.clock.advance(120_000);
    await mint({ maxUnits: 2, ttlSeconds: 60 });
    expect(await spent()).toHaveLength(2);
    installation.clock.advance(2 * 3_600_000);
    await mint({ maxUnits: 3 });
    expect(await spent()).toHaveLength(1);
  });

  test('cannot be given back to a database that is gone: that is no failure of the request', async () => {
    const gone = await installation.startProcess();
    const budget = budgetOf(await mintedPrincipal({ maxUnits: 5 }), gone);
    await budget.take(2);
    await gone.stop();
    await budget.giveBack(2);
    expect(await spent()).toEqual([2]);
    expect(await rejection(budget.take(1))).not.toBeInstanceOf(ForbiddenError);
  });
});
