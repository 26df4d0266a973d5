import { describe, expect, test } from 'vitest';
import { ForbiddenError, UnauthenticatedError } from '../../src/lib/errors.ts';
import { type Action, authorize, permissions, scopesOfRole } from '../../src/tenants/permissions.ts';
import { type Principal, type Role, SCOPES, type Scope } from '../../src/tenants/types.ts';

const actions = Object.keys(permissions) as Action[];

function principalWith(...scopes: Scope[]): Principal {
  const plan = {
    id: '',
    name: 'Free',
    version: 1,
    monthlyUnits: 1,
    hardLimit: true,
    pointsPerSecond: 1,
    burst: 64,
    concurrency: 1,
    weight: 1,
    currency: 'usd',
    baseCents: 0n,
    includedUnits: 0n,
    unitAmountDecimal: '0',
  };
  const tenant = { id: '', name: '', isOperator: false, allowedOrigins: [], plan };
  return {
    tenant,
    scopes: new Set(scopes),
    apiKeyId: null,
    memberId: null,
    sessionId: null,
    name: '',
    restriction: null,
  };
}

describe('who may do what', () => {
  test.each(actions)('%s', (action) => {
    const rule = permissions[action];
    if (rule === 'public') {
      expect(authorize(null, action)).toBeNull();
      return;
    }
    expect(() => authorize(null, action)).toThrow(UnauthenticatedError);
    for (const scope of SCOPES) {
      const principal = principalWith(scope);
      const allowed = rule === 'principal' || (rule.anyOf as readonly Scope[]).includes(scope);
      if (allowed) expect(authorize(principal, action)).toBe(principal);
      else expect(() => authorize(principal, action)).toThrow(ForbiddenError);
    }
  });

  test('a refusal names the action and the scopes that would do', () => {
    expect(() => authorize(principalWith('INFER'), 'createApiKey')).toThrow(/createApiKey.*KEYS_WRITE/);
    expect(() => authorize(principalWith('BILLING'), 'quota')).toThrow(/INFER or USAGE_READ/);
  });

  test('whoever may infer can see models and the quota, and neither keys, usage nor invoices', () => {
    const principal = principalWith('INFER');
    for (const action of ['classify', 'model', 'models', 'quota', 'viewer'] as const)
      authorize(principal, action);
    for (const action of ['apiKeys', 'usage', 'ApiKey.usage', 'invoicePreview', 'revokeApiKey'] as const) {
      expect(() => authorize(principal, action)).toThrow(ForbiddenError);
    }
  });
});

describe('a client token', () => {
  const token = (...scopes: Scope[]): Principal => ({
    ...principalWith(...scopes),
    restriction: { tokenId: '', models: null, maxUnits: null, origins: null },
  });
  const refused = (principal: Principal) =>
    actions.filter((action) => {
      try {
        authorize(principal, action);
        return false;
      } catch {
        return true;
      }
    });
  const beyondAny = ['ApiKey.usage', 'apiKeys', 'createApiKey', 'createClientToken', 'invoicePreview'];

  test('may do nothing about keys, members and bills, whatever scopes it came to', () => {
    expect(refused(token(...SCOPES)).sort()).toEqual([
      ...beyondAny,
      'revokeApiKey',
      'rotateApiKey',
      'signOut',
    ]);
    expect(() => authorize(token(...SCOPES), 'createApiKey')).toThrow(
      /not for client tokens.*API key itself/,
    );
  });

  test('to infer sees no usage', () => {
    expect(refused(token('INFER'))).toContain('usage');
    expect(refused(token('USAGE_READ'))).not.toContain('usage');
  });
});

describe('the scopes of a role', () => {
  const roles: Role[] = ['OWNER', 'ADMIN', 'DEVELOPER', 'BILLING'];

  test('an owner has all, within its tenant; the operator’s ADMIN besides', () => {
    expect(scopesOfRole('OWNER', true)).toEqual(SCOPES);
    expect(scopesOfRole('OWNER', false)).toEqual(SCOPES.filter((scope) => scope !== 'ADMIN'));
  });

  test('nobody outside the operator’s tenant has ADMIN, nor does a developer or an accountant inside it', () => {
    for (const role of roles) expect(scopesOfRole(role, false)).not.toContain('ADMIN');
    for (const role of ['DEVELOPER', 'BILLING'] as const)
      expect(scopesOfRole(role, true)).not.toContain('ADMIN');
  });

  test('only owners and accountants see bills', () => {
    expect(roles.filter((role) => scopesOfRole(role, true).includes('BILLING'))).toEqual([
      'OWNER',
      'BILLING',
    ]);
  });

  test('an accountant reads, and no more', () => {
    expect(scopesOfRole('BILLING', true)).toEqual(['USAGE_READ', 'BILLING']);
  });
});
