import type { Request, Response } from 'express';
import { v7 as uuidv7 } from 'uuid';
import type { Logger } from '../lib/logger.ts';
import type { Tracer } from '../lib/tracing/tracer.ts';
import type { Principal } from '../tenants/types.ts';
import { clientAddress } from './client-address.ts';
import type { GraphqlContext, Services } from './context.ts';
import type { RequestMetrics } from './request-metrics.ts';

/** What a caller's own request id may look like to be logged beside ours. It is never used as ours: ids must be unique. */
const saneRequestId = /^[\w.:-]{1,128}$/;

/** A request's context before its caller is known. */
export type Exchange = { -readonly [K in keyof GraphqlContext]: GraphqlContext[K] };

/**
 * Opens the books on one HTTP request: gives it its id, an abort signal that fires when the client hangs up, and, once it is
 * over, its one log line and its metrics. The line holds neither variables nor credentials.
 */
export function openExchange(
  request: Request,
  response: Response,
  {
    services,
    logger,
    metrics,
    tracer,
    publicUrl,
  }: {
    services: Services;
    logger: Logger;
    metrics: RequestMetrics;
    tracer: Tracer;
    publicUrl: string | null;
  },
): Exchange {
  const startedAt = performance.now();
  const requestId = uuidv7();
  const controller = new AbortController();
  const theirs = request.get('x-request-id');
  const { method } = request;
  const span = tracer.serve(`${method} /graphql`, request.headers, {
    'http.request.method': method,
    'http.route': '/graphql',
    'fovea.request_id': requestId,
  });
  const exchange: Exchange = {
    principal: null as Principal | null,
    requestId,
    clientAddress: clientAddress(request.ip),
    publicUrl,
    signal: controller.signal,
    services,
    logger: logger.child({ requestId }),
    span,
    record: { operationName: null, cost: null, codes: [] },
  };
  response.setHeader('x-request-id', requestId);

  response.once('close', () => {
    const answered = response.writableFinished;
    if (!answered) controller.abort();
    const durationMs = performance.now() - startedAt;
    const { operationName, cost, codes } = exchange.record;
    const tenant = exchange.principal?.tenant.id ?? null;
    span.set({
      ...(answered && { 'http.response.status_code': response.statusCode }),
      ...(operationName !== null && { 'graphql.operation.name': operationName }),
      ...(tenant !== null && { 'fovea.tenant': tenant }),
    });
    span.end(answered ? codes[0] : 'aborted');
    metrics.observe({ status: answered ? response.statusCode : null, codes, durationMs });
    exchange.logger.info(
      {
        ...(theirs && saneRequestId.test(theirs) && { callerRequestId: theirs }),
        operation: operationName,
        tenant,
        status: answered ? response.statusCode : 'aborted',
        codes,
        ...(span.isRecorded && { traceId: span.traceId }),
        durationMs: Math.round(durationMs * 100) / 100,
        cost,
      },
      'graphql',
    );
  });
  return exchange;
}
