import type { ApolloServerPlugin, GraphQLRequestContext } from '@apollo/server';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { isUnavailable } from '../../db/unavailable.ts';
import { FoveaError, OverloadedError } from '../../lib/errors.ts';
import type { GraphqlContext } from '../context.ts';

/** What a client is told of one error. */
export interface PublicError {
  readonly body: GraphQLFormattedError;
  /** The HTTP status of an answer without data that holds this error; null: it asks for none. */
  readonly status: number | null;
  /** What the log must say, where the client was not the cause; null where it was. */
  readonly fault: Error | null;
}

/** Where in the document and in the answer. */
type Place = Pick<GraphQLFormattedError, 'locations' | 'path'>;

const databaseUnavailable = new OverloadedError('The database does not answer; try again.', {
  retryAfterMs: 1000,
});

/** Characters of a message, about. */
const MAX_MESSAGE = 1_000;

/** Codes that GraphQL's own machinery gives, which pass as they are. Apollo's BAD_REQUEST is not among the contract's. */
const machineCodes = new Set<unknown>([
  'BAD_USER_INPUT',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_FOUND',
]);

/**
 * The one place that decides what a client learns of an error. A FoveaError and GraphQL's own errors are told, and a database
 * that does not answer as OVERLOADED; anything else is masked, because its message may hold another tenant's data, a query or a path. Never throws, whatever was thrown.
 */
export function toPublicError(error: unknown, requestId: string | null): PublicError {
  try {
    return told(error) ?? masked(error, requestId);
  } catch (failure) {
    return masked(failure, requestId);
  }
}

/**
 * Puts `toPublicError`'s answers into the response: with the request id in what is masked, the HTTP status where there is no
 * data, `Retry-After` where the error says when; logs the faults.
 */
export function errorsPlugin(): ApolloServerPlugin<GraphqlContext> {
  return {
    async requestDidStart() {
      return {
        async willSendResponse(request) {
          if (request.errors?.length) answerErrors(request, request.errors);
        },
      };
    },
  };
}

function answerErrors(
  { contextValue, response }: GraphQLRequestContext<GraphqlContext>,
  errors: readonly unknown[],
): void {
  if (response.body?.kind !== 'single') return;
  const answered = errors.map((error) => toPublicError(error, contextValue.requestId));
  const result = response.body.singleResult;
  result.errors = answered.map(({ body }) => body);
  contextValue.record.codes = answered.map(({ body }) => String(body.extensions?.code));

  for (const { fault, body } of answered) {
    // Once the client is gone, whatever was under way was aborted on purpose.
    if (fault && !contextValue.signal.aborted)
      contextValue.logger.error({ err: fault, path: body.path }, 'a resolver failed');
  }
  if (holdsData(result.data)) return;
  const status = answered.find(({ status }) => status !== null)?.status;
  if (status) response.http.status = status;
  // A request that was refused before it ran: GraphQL over HTTP answers what has no `data` entry with 4xx.
  else if (!('data' in result)) response.http.status = 400;
  if (status === 401) response.http.headers.set('www-authenticate', 'Bearer');
  const retryAfterMs = retryAfterOf(answered);
  if (retryAfterMs !== null) response.http.headers.set('retry-after', String(Math.ceil(retryAfterMs / 1000)));
}

/** An answer whose root fields are all null tells no more than its errors do: `model` and `node` may be null. */
function holdsData(data: Record<string, unknown> | null | undefined): boolean {
  return Object.values(data ?? {}).some((value) => value !== null);
}

/** The longest wait that any of them asks for, milliseconds. */
export function retryAfterOf(errors: readonly PublicError[]): number | null {
  const waits = errors
    .map(({ body }) => body.extensions?.retryAfterMs)
    .filter((wait): wait is number => typeof wait === 'number' && Number.isFinite(wait));
  return waits.length > 0 ? Math.max(...waits) : null;
}

function told(error: unknown): PublicError | null {
  const cause = causeOf(error);
  const place = error instanceof GraphQLError ? placeOf(error) : {};
  if (cause instanceof FoveaError) return publicly(cause, place, null);
  // It passes by itself: the client may ask again, but the operator must hear of it.
  if (isUnavailable(cause)) return publicly(databaseUnavailable, place, faultOf(cause));
  if (!(error instanceof GraphQLError)) return null;
  const { code, http, stacktrace: _, ...extensions } = error.extensions;
  const status = statusOf(http);
  // Without a code, a place in the answer or a cause, it was made before anything ran: of the request itself.
  const refused = code === 'BAD_REQUEST' || (code === undefined && !error.path && !error.originalError);
  if (!refused && !machineCodes.has(code)) return null;
  return {
    body: {
      message: shortened(error.message),
      ...place,
      extensions: { ...extensions, code: refused ? 'BAD_USER_INPUT' : code },
    },
    status,
    fault: null,
  };
}

function publicly(error: FoveaError, place: Place, fault: Error | null): PublicError {
  const { message, code, extensions, status } = error;
  return {
    body: { message: shortened(message), ...place, extensions: { ...extensions, code } },
    status: status === 200 ? null : status,
    fault,
  };
}

/** A message may quote the value that it is about, and that may be a picture of many megabytes. */
function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE) return message;
  return `${message.slice(0, MAX_MESSAGE / 2)} … ${message.slice(-MAX_MESSAGE / 2)}`;
}

function masked(error: unknown, requestId: string | null): PublicError {
  const quote = requestId === null ? 'the x-request-id header' : `request id ${requestId}`;
  return {
    body: {
      message: `Something went wrong; quote ${quote}.`,
      ...(error instanceof GraphQLError ? placeOf(error) : {}),
      extensions: { code: 'INTERNAL_SERVER_ERROR' },
    },
    status: 500,
    fault: faultOf(error),
  };
}

/** What was thrown, below the GraphQLErrors that say where. */
function causeOf(error: unknown): unknown {
  let cause = error;
  for (let depth = 0; depth < 10 && cause instanceof GraphQLError && cause.originalError; depth += 1) {
    cause = cause.originalError;
  }
  return cause;
}

function placeOf({ locations, path }: GraphQLError): Place {
  return { ...(locations ? { locations } : {}), ...(path ? { path } : {}) };
}

function statusOf(http: unknown): number | null {
  const status = (http as { status?: unknown } | null | undefined)?.status;
  return typeof status === 'number' ? status : null;
}

function faultOf(error: unknown): Error {
  try {
    const cause = causeOf(error);
    return cause instanceof Error ? cause : new Error(`Thrown and no Error: ${String(cause)}`);
  } catch {
    // An object whose own conversion to text throws, or a revoked proxy: there is nothing left to say about it.
    return new Error('Thrown and no Error, nor convertible to text');
  }
}
