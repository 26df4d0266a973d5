import { readFileSync } from 'node:fs';
import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Registry } from 'prom-client';
import type { Logger } from '../lib/logger.ts';
import { traced } from '../lib/tracing/span.ts';
import type { Tracer } from '../lib/tracing/tracer.ts';
import { asksForInference } from './asks-for-inference.ts';
import type { GraphqlContext, Services } from './context.ts';
import { answerPreflights, letAnyTenantsPagesRead, letRead } from './cors.ts';
import { type Exchange, openExchange } from './exchange.ts';
import { requireShallow } from './nesting.ts';
import { type PublicError, retryAfterOf, toPublicError } from './plugins/errors.ts';
import { publicUrlOf } from './public-url.ts';
import {
  AbortedBodyError,
  anonymousLimit,
  discardBody,
  knownCallersLimit,
  parseJson,
  readJsonBody,
} from './request-body.ts';
import type { RequestMetrics } from './request-metrics.ts';
import { receiveUpload } from './uploads-route.ts';
import { exportUsage } from './usage-route.ts';

export interface HttpAppOptions {
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly requests: RequestMetrics;
  readonly tracer: Tracer;
  readonly ready: () => Promise<true | string>;
  readonly trustProxy?: boolean | number | string;
  readonly publicUrl?: string | null;
  readonly maxBodyBytes?: number;
}

const landingPage = readFileSync(new URL('landing.html', import.meta.url), 'utf8');

/** Every path that is answered over HTTP. */
export function createHttpApp(
  apollo: ApolloServer<GraphqlContext>,
  services: Services,
  options: HttpAppOptions,
): Express {
  const app = express();
  app.disable('x-powered-by');
  // An ETag would hash every answer, and no answer is to be kept by anyone.
  app.disable('etag');
  app.set('trust proxy', options.trustProxy ?? false);
  app.use(securityHeaders);

  // What is asked most stands first, since the router tries one after the other; before it a page of another origin may ask whether
  // it may send at all.
  app.use(['/graphql', '/uploads', '/usage'], answerPreflights(services.origins));
  app.use('/uploads', letAnyTenantsPagesRead(services.origins));
  app.put('/uploads/:id', receiveUpload(services, options.logger));
  app.use('/graphql', openBooks(services, options), identifyAndRead(options), serve(apollo));

  app.get('/usage/events.:format', exportUsage(services, options.logger));
  app.get('/', (request, response) => {
    const origin = publicUrlOf(request, options.publicUrl ?? null) ?? '';
    response.type('html').send(landingPage.replaceAll('{{origin}}', origin));
  });
  app.get('/health/live', (_request, response) => {
    response.json({ status: 'live' });
  });
  app.get('/health/ready', async (_request, response) => {
    const ready = await options.ready().catch((error: unknown) => {
      options.logger.error({ err: error }, 'the readiness check failed');
      return 'the check itself failed: see the log';
    });
    if (ready === true) response.json({ status: 'ready' });
    else response.status(503).json({ status: 'not ready', reason: ready });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(options.metrics.contentType).send(await options.metrics.metrics());
  });

  app.use((_request, response) => {
    response.status(404).json({ error: 'Nothing is served here: the API is POST /graphql.' });
  });
  app.use(lastResort(options.logger));
  return app;
}

const securityHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'cache-control': 'no-store',
    // The page for people is all markup there is: it loads nothing and is framed by nobody.
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  });
  next();
};

function openBooks(
  services: Services,
  { logger, requests, tracer, publicUrl = null }: HttpAppOptions,
): RequestHandler {
  return (request, response, next) => {
    response.locals.exchange = openExchange(request, response, {
      services,
      logger,
      metrics: requests,
      tracer,
      publicUrl: publicUrlOf(request, publicUrl),
    });
    next();
  };
}

/** The caller first: a body of many megabytes is not taken in from one whose credential is bad. */
function identifyAndRead({ maxBodyBytes }: HttpAppOptions): RequestHandler {
  const limit = knownCallersLimit(maxBodyBytes);
  return async (request, response, next) => {
    const exchange = exchangeOf(response);
    try {
      await traced(exchange.span, 'authenticate', {}, () => identify(request, response, exchange));
      const json = await traced(exchange.span, 'receive', {}, () =>
        readJsonBody(request, exchange.principal ? limit : anonymousLimit),
      );
      if (json !== null) requireRoom(json, exchange);
      request.body = json === null ? undefined : parseJson(json);
      requireShallow(documentOf(request));
    } catch (error) {
      if (error instanceof AbortedBodyError) return;
      const told = toPublicError(error, exchange.requestId);
      if (told.fault) exchange.logger.error({ err: told.fault }, 'a request could not be taken in');
      refuse(response, exchange, told);
      discardBody(request, limit.bytes);
      return;
    }
    next();
  };
}

/** Whoever is refused learns why as well, where a page may read what its tenant is answered. */
async function identify(request: Request, response: Response, exchange: Exchange): Promise<void> {
  const { authenticator, origins } = exchange.services;
  try {
    exchange.principal = await authenticator.authenticate(
      request.get('authorization'),
      exchange.clientAddress,
      request.get('origin'),
    );
  } finally {
    await letRead(request, response, exchange.principal?.tenant ?? null, origins);
  }
}

/** A tenant that floods is refused before its requests cost more than their way in. */
function requireRoom(json: readonly Buffer[], { principal, services }: Exchange): void {
  if (principal === null || !asksForInference(json)) return;
  const { id: tenantId, plan } = principal.tenant;
  services.inference.requireRoom({ tenantId, weight: plan.weight, concurrency: plan.concurrency });
}

/** The GraphQL document as it was sent; empty where there is none, or what stands in its place is none. */
function documentOf({ method, body, query }: Request): string {
  const { query: document } = (method === 'GET' ? query : (body ?? {})) as { query?: unknown };
  return typeof document === 'string' ? document : '';
}

/** Answers a request that never came to be an operation, in GraphQL's shape. */
function refuse(response: Response, exchange: Exchange, error: PublicError): void {
  exchange.record.codes = [String(error.body.extensions?.code)];
  const retryAfterMs = retryAfterOf([error]);
  if (retryAfterMs !== null) response.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  if (error.status === 401) response.set('www-authenticate', 'Bearer');
  response
    .status(error.status ?? 400)
    .json({ errors: [error.body], extensions: { requestId: exchange.requestId } });
}

function serve(apollo: ApolloServer<GraphqlContext>): RequestHandler {
  return expressMiddleware(apollo, { context: async ({ res }) => exchangeOf(res) });
}

function exchangeOf(response: Response): Exchange {
  return response.locals.exchange as Exchange;
}

/** What a handler above threw: a client learns that it failed, the log learns why. */
function lastResort(logger: Logger): ErrorRequestHandler {
  return (error, _request, response, next) => {
    const { fault, body } = toPublicError(error, response.get('x-request-id') ?? null);
    if (fault) logger.error({ err: fault }, 'a request failed outside GraphQL');
    if (response.headersSent) next(error);
    else response.status(500).json({ errors: [body] });
  };
}
