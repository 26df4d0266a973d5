import type { Request, RequestHandler, Response } from 'express';
import type { AllowedOrigins } from '../tenants/allowed-origins.ts';
import type { TenantRecord } from '../tenants/types.ts';
import { clientAddress } from './client-address.ts';

type Origins = Pick<AllowedOrigins, 'allows'>;

/** What a page may send, and read of an answer beside its body. There are no cookies, hence no credentials mode. */
const toPreflights = {
  'access-control-allow-methods': 'GET, POST, PUT',
  'access-control-allow-headers':
    'authorization, content-type, x-request-id, apollo-require-preflight, x-apollo-operation-name',
  'access-control-max-age': '600',
};
const exposed = 'retry-after, x-request-id';

/**
 * Answers preflights: 204, with leave to send for an origin that any tenant allows. A browser sends no credential with them, so
 * whose request is to follow is not known yet. Other requests pass.
 */
export function answerPreflights(origins: Origins): RequestHandler {
  return async (request, response, next) => {
    if (request.method !== 'OPTIONS') return next();
    if (await letRead(request, response, null, origins)) response.set(toPreflights);
    response.status(204).end();
  };
}

/** For what is no tenant's until its handler has looked: pages of any tenant's origins may read what it answers. */
export function letAnyTenantsPagesRead(origins: Origins): RequestHandler {
  return async (request, response, next) => {
    await letRead(request, response, null, origins);
    next();
  };
}

/**
 * Lets the page that sent `request` read the answer, whatever it will be, where its origin is allowed by `tenant`; where no tenant
 * is known, by any. That gives nothing away: an answer to nobody is the same for all, and what it says was to be had without a
 * browser. Answers whether it may.
 */
export async function letRead(
  request: Request,
  response: Response,
  tenant: TenantRecord | null,
  origins: Origins,
): Promise<boolean> {
  response.vary('Origin');
  const origin = request.get('origin');
  if (origin === undefined) return false;
  const isAllowed = tenant
    ? tenant.allowedOrigins.includes(origin)
    : await origins.allows(origin, clientAddress(request.ip));
  if (isAllowed)
    response.set({ 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed });
  return isAllowed;
}
