import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, RequestHandler, Response } from 'express';
import { v7 as uuidv7 } from 'uuid';
import { BadUserInputError, ConcurrencyLimitedError, RateLimitedError } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { Span } from '../metering/buckets.ts';
import type { ExportedEvent } from '../metering/usage-export.ts';
import { MemoryConcurrencyLimiter } from '../tenants/concurrency-limiter.ts';
import { authorize } from '../tenants/permissions.ts';
import type { Principal } from '../tenants/types.ts';
import { clientAddress } from './client-address.ts';
import type { Services } from './context.ts';
import { letRead } from './cors.ts';
import { globalId } from './global-id.ts';
import { retryAfterOf, toPublicError } from './plugins/errors.ts';
import { DateTime } from './scalars.ts';

/** Query points of an export, whatever it holds. */
const EXPORT_COST = 50;
/** Exports of one tenant under way, in each process. */
const EXPORTS_AT_ONCE = 2;

const READS_WITHIN_MS = 60_000;

/** The columns of an export, in their order. Names and forms are those of the API. */
const columns: Record<string, (event: ExportedEvent) => string | number | null> = {
  requestId: ({ requestId }) => requestId,
  occurredAt: ({ occurredAt }) => occurredAt.toISOString(),
  apiKeyId: ({ apiKeyId }) => apiKeyId && globalId('key', apiKeyId),
  memberId: ({ memberId }) => memberId,
  operation: ({ operation }) => operation,
  model: ({ model }) => model,
  version: ({ version }) => version,
  compression: ({ compression }) => compression,
  images: ({ images }) => images,
  errors: ({ errors }) => errors,
  cachedImages: ({ cachedImages }) => cachedImages,
  units: ({ units }) => Number(units),
  latencyMs: ({ latencyMs }) => latencyMs,
  corrects: ({ corrects }) => corrects,
  reason: ({ reason }) => reason,
  author: ({ author }) => author,
};

interface Format {
  readonly type: string;
  readonly head: string;
  line(event: ExportedEvent): string;
}

const formats: ReadonlyMap<string, Format> = new Map(
  Object.entries({
    csv: {
      type: 'text/csv; charset=utf-8',
      head: csvLine(Object.keys(columns)),
      line: (event: ExportedEvent) => csvLine(Object.values(columns).map((value) => value(event))),
    },
    jsonl: {
      type: 'application/jsonl; charset=utf-8',
      head: '',
      line: (event: ExportedEvent) => {
        const fields = Object.entries(columns).map(([name, value]) => [name, value(event)]);
        return `${JSON.stringify(Object.fromEntries(fields))}\n`;
      },
    },
  }),
);

/** RFC 4180, a null as an empty field. */
function csvLine(values: readonly (string | number | null)[]): string {
  return `${values.map(csvField).join(',')}\r\n`;
}

function csvField(value: string | number | null): string {
  const text = String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * `GET /usage/events.csv?from=…&to=…`, and `.jsonl`: every usage event of the caller's tenant from one time until before another, as
 * fast as the client reads. An export that cannot be finished is broken off, so that nobody takes a part for the whole; what is
 * refused is answered with `{ "error": … }`.
 */
export function exportUsage(services: Services, logger: Logger): RequestHandler {
  const underWay = new MemoryConcurrencyLimiter();
  return async (request, response, next) => {
    const name = String(request.params.format);
    const format = formats.get(name);
    if (!format) return next();
    const requestId = uuidv7();
    const log = logger.child({ requestId });
    response.set('x-request-id', requestId);
    let leave: (() => void) | null = null;
    try {
      const { tenant } = await identify(request, response, services);
      const span = { from: timeOf(request, 'from'), to: timeOf(request, 'to') };
      requireOrder(span);
      requireChunks(request);
      if (request.method === 'HEAD') return void response.set('content-type', format.type).end();
      leave = underWay.enter(tenant.id, EXPORTS_AT_ONCE);
      if (!leave) throw tooManyExports();
      await charge(tenant, services);
      await send(response, format, services.usageExport.pages(tenant.id, span));
      log.info({ tenant: tenant.id, format: name }, 'usage exported');
    } catch (error) {
      refuse(response, error, requestId, log);
    } finally {
      leave?.();
    }
  };
}

async function identify(request: Request, response: Response, services: Services): Promise<Principal> {
  let principal: Principal | null = null;
  try {
    principal = await services.authenticator.authenticate(
      request.get('authorization'),
      clientAddress(request.ip),
      request.get('origin'),
    );
  } finally {
    await letRead(request, response, principal?.tenant ?? null, services.origins);
  }
  return authorize(principal, 'usage');
}

function timeOf(request: Request, name: 'from' | 'to'): Date {
  try {
    return DateTime.parseValue(request.query[name]);
  } catch (error) {
    throw new BadUserInputError(`"${name}": ${(error as Error).message}`);
  }
}

function requireOrder({ from, to }: Span): void {
  if (from < to) return;
  throw new BadUserInputError(`"from" is ${from.toISOString()}, not before "to", ${to.toISOString()}.`);
}

/** Without chunks nobody can tell a file that was broken off from one that ended. */
function requireChunks({ httpVersion }: Request): void {
  if (httpVersion !== '1.0') return;
  throw new BadUserInputError(
    'An export is sent by HTTP/1.1 or newer: have the proxy in front speak that (nginx: proxy_http_version 1.1).',
  );
}

async function charge({ id, plan }: Principal['tenant'], { rateLimiter }: Services): Promise<void> {
  const { admitted, retryAfterMs } = await rateLimiter.take(`tenant:${id}`, EXPORT_COST, plan);
  if (admitted) return;
  throw new RateLimitedError(
    `An export costs ${EXPORT_COST} points, and fewer are left: send it again in ${retryAfterMs} ms.`,
    { retryAfterMs },
  );
}

function tooManyExports(): ConcurrencyLimitedError {
  return new ConcurrencyLimitedError(
    `${EXPORTS_AT_ONCE} exports of yours are under way: wait for one to end.`,
    {
      retryAfterMs: 1_000,
    },
  );
}

/** The first page is read before anything is sent: a database that is away can still be told. */
async function send(
  response: Response,
  { type, head, line }: Format,
  pages: AsyncGenerator<ExportedEvent[], void>,
): Promise<void> {
  let { value: page } = await pages.next();
  response.set('content-type', type);
  // Whoever takes nothing for so long is gone, and keeps a place from others of its tenant.
  response.setTimeout(READS_WITHIN_MS, () => response.destroy());
  async function* text() {
    yield head;
    for (; page; page = (await pages.next()).value) yield page.map(line).join('');
  }
  await pipeline(Readable.from(text(), { objectMode: false }), response);
}

function refuse(response: Response, error: unknown, requestId: string, log: Logger): void {
  if (response.headersSent || response.destroyed) {
    // Its client hung up, or it cannot be finished.
    if (!response.destroyed) response.destroy();
    log.warn({ err: error }, 'a usage export was broken off');
    return;
  }
  const told = toPublicError(error, requestId);
  if (told.fault) log.error({ err: told.fault }, 'usage could not be exported');
  const retryAfterMs = retryAfterOf([told]);
  if (retryAfterMs !== null) response.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  if (told.status === 401) response.set('www-authenticate', 'Bearer');
  response.status(told.status ?? 400).json({ error: told.body.message });
}
