import { Writable } from 'node:stream';
import { Registry } from 'prom-client';
import { onTestFinished } from 'vitest';
import type { Services } from '../../src/graphql/context.ts';
import { createGraphqlServer, type GraphqlServerOptions } from '../../src/graphql/server.ts';
import { UnauthenticatedError } from '../../src/lib/errors.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { MemoryRateLimiter } from '../../src/tenants/rate-limiter.ts';
import { type Principal, SCOPES } from '../../src/tenants/types.ts';

export const goodKey = 'Bearer good';

export const principal: Principal = {
  tenant: {
    id: '01890000-0000-7000-8000-000000000001',
    name: 'acme',
    isOperator: false,
    allowedOrigins: [],
    plan: {
      id: '01890000-0000-7000-8000-0000000000aa',
      name: 'Test',
      version: 1,
      monthlyUnits: null,
      hardLimit: false,
      pointsPerSecond: 1,
      burst: 100,
      concurrency: 4,
      weight: 1,
      currency: 'eur',
      baseCents: 0n,
      includedUnits: 0n,
      unitAmountDecimal: '0',
    },
  },
  scopes: new Set(SCOPES),
  apiKeyId: '01890000-0000-7000-8000-0000000000bb',
  memberId: null,
  sessionId: null,
  name: 'key test',
  restriction: null,
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly data?: Record<string, unknown> | null;
    readonly errors?: readonly {
      readonly message: string;
      readonly path?: readonly string[];
      readonly extensions: Record<string, unknown>;
    }[];
    readonly extensions?: Record<string, unknown>;
  };
}

/**
 * The real transport on a real socket. Below it stands just enough to answer it: these tests are about HTTP and GraphQL;
 * what the services do is tested with the services, and both together over the whole server.
 */
export async function startTransport(
  options: Partial<GraphqlServerOptions> = {},
  services: Partial<Services> = {},
) {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const server = await createGraphqlServer(
    { ...minimalServices, rateLimiter: new MemoryRateLimiter(), ...services },
    {
      logger: createLogger('info', sink),
      metrics: new Registry(),
      ready: async () => true,
      introspection: true,
      ...options,
    },
  );
  const { port } = await server.listen(0, '127.0.0.1');
  const url = `http://127.0.0.1:${port}`;
  const close = () => server.close(100);
  onTestFinished(close);

  const post = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Answer> =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: goodKey, ...headers },
      body,
    }).then(readAnswer);

  return {
    url,
    port,
    server,
    post,
    /** Log lines so far, parsed. */
    log: (): Record<string, unknown>[] => lines.map((line) => JSON.parse(line)),
    execute: (query: string, variables: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
      post(JSON.stringify({ query, variables }), headers),
    anonymously: (query: string): Promise<Answer> =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      }).then(readAnswer),
  };
}

export async function readAnswer(response: Response): Promise<Answer> {
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Answer['body'],
  };
}

const notHere = (): never => {
  throw new Error('This test stands nothing behind this field');
};

export const minimalServices: Omit<Services, 'rateLimiter'> = {
  authenticator: {
    authenticate: async (authorization) => {
      if (authorization === undefined) return null;
      if (authorization === goodKey) return principal;
      throw new UnauthenticatedError('The API key is unknown.');
    },
  },
  ledger: {
    quota: async (_tenantId, limit) => ({
      meter: 'units',
      limit,
      used: 3,
      reserved: 0,
      remaining: null,
      resetsAt: new Date('2026-12-01T00:00:00Z'),
    }),
  },
  models: {
    list: async () => ({ rows: [], totalCount: 0, hasNextPage: false }),
    resolve: async () => null,
    get: async () => null,
  },
  apiKeys: { create: notHere, rotate: notHere, revoke: notHere, list: notHere, get: async () => null },
  clientTokens: { mint: notHere, budget: () => null },
  origins: { allows: async () => false },
  sessions: { signIn: notHere, refresh: notHere, signOut: notHere },
  usage: { usage: notHere, ofApiKey: notHere },
  usageExport: { pages: notHere },
  invoices: { preview: notHere },
  uploads: { create: notHere, present: async () => null, receive: notHere },
  inference: {
    classify: notHere,
    detect: notHere,
    segment: notHere,
    maskPng: notHere,
    requireRoom: () => {},
  },
};
