import { GraphQLError } from 'graphql';
import { describe, expect, test } from 'vitest';
import { toPublicError } from '../../../src/graphql/plugins/errors.ts';
import { FoveaError, NotFoundError, OverloadedError, RateLimitedError } from '../../../src/lib/errors.ts';

const requestId = '0190-request';
const located = (cause: Error) =>
  new GraphQLError(cause.message, { path: ['classify'], originalError: cause, extensions: { leaked: 'x' } });

describe('what the client caused', () => {
  test('a FoveaError is told with its code, extensions, place and status', () => {
    const { body, status, fault } = toPublicError(
      located(new OverloadedError('Full.', { retryAfterMs: 250 })),
      requestId,
    );
    expect(body).toEqual({
      message: 'Full.',
      path: ['classify'],
      extensions: { code: 'OVERLOADED', retryAfterMs: 250 },
    });
    expect(status).toBe(503);
    expect(fault).toBeNull();
  });

  test('one that was not located is told as well', () => {
    expect(toPublicError(new RateLimitedError('Slow down.', { retryAfterMs: 5 }), requestId)).toMatchObject({
      body: { message: 'Slow down.', extensions: { code: 'RATE_LIMITED' } },
      status: 429,
    });
  });

  test('a code in the extensions cannot take the place of the class', () => {
    class Sly extends FoveaError {
      readonly code = 'NOT_FOUND';
    }
    expect(toPublicError(new Sly('x', { code: 'OVERRIDDEN' }), requestId).body.extensions).toEqual({
      code: 'NOT_FOUND',
    });
  });

  test.each([
    'GRAPHQL_PARSE_FAILED',
    'GRAPHQL_VALIDATION_FAILED',
    'OPERATION_RESOLUTION_FAILURE',
    'PERSISTED_QUERY_NOT_FOUND',
    'BAD_USER_INPUT',
  ])('GraphQL’s own %s passes', (code) => {
    const error = new GraphQLError('as it is', {
      extensions: { code, http: { status: 400 }, stacktrace: ['at x'] },
    });
    expect(toPublicError(error, requestId)).toEqual({
      body: { message: 'as it is', extensions: { code } },
      status: 400,
      fault: null,
    });
  });

  test('Apollo’s BAD_REQUEST is BAD_USER_INPUT', () => {
    const error = new GraphQLError('no', { extensions: { code: 'BAD_REQUEST', http: { status: 405 } } });
    expect(toPublicError(error, requestId)).toMatchObject({
      body: { message: 'no', extensions: { code: 'BAD_USER_INPUT' } },
      status: 405,
    });
  });

  test('so is what GraphQL says of a request before it runs, without a code', () => {
    const error = new GraphQLError('Too many errors processing variables');
    expect(toPublicError(error, requestId).body).toEqual({
      message: 'Too many errors processing variables',
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });
});

test('a database that does not answer may be asked again, and is told to the log', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: 'ECONNREFUSED' });
  const told = {
    message: 'The database does not answer; try again.',
    extensions: { code: 'OVERLOADED', retryAfterMs: 1000 },
  };
  expect(toPublicError(located(cause), requestId)).toEqual({
    body: { ...told, path: ['classify'] },
    status: 503,
    fault: cause,
  });
  expect(toPublicError(cause, requestId)).toEqual({ body: told, status: 503, fault: cause });
});

describe('what the client did not cause', () => {
  const masked = { message: 'Something went wrong; quote request id 0190-request.' };
  const code = 'INTERNAL_SERVER_ERROR';

  test('is masked, keeps its place, and is handed on for the log', () => {
    const cause = Object.assign(new Error('password=hunter2 at /srv/db.ts'), { code: 'EACCES' });
    const { body, status, fault } = toPublicError(located(cause), requestId);
    expect(body).toEqual({ ...masked, path: ['classify'], extensions: { code } });
    expect(status).toBe(500);
    expect(fault).toBe(cause);
  });

  test.each([
    ['null', null],
    ['undefined', undefined],
    ['a string', 'secret'],
    ['a number', 7],
    ['a symbol', Symbol('secret')],
    ['a frozen error', Object.freeze(new Error('secret'))],
    ['a bare object', Object.create(null)],
    [
      'an object whose text throws',
      {
        toString: () => {
          throw new Error('secret');
        },
      },
    ],
    [
      'an error with a getter that throws',
      Object.defineProperty(new Error('x'), 'originalError', {
        get: () => {
          throw new Error('secret');
        },
      }),
    ],
    ['a revoked proxy', revoked()],
    ['a GraphQLError with an unknown code', new GraphQLError('secret', { extensions: { code: 'P2002' } })],
    [
      'a GraphQLError without a code from a resolver',
      new GraphQLError('Int cannot represent secret', { path: ['x'] }),
    ],
    ['a GraphQLError whose cause is a GraphQLError without a code', located(new GraphQLError('secret'))],
    [
      'an error that calls itself INTERNAL_SERVER_ERROR',
      new GraphQLError('secret', { extensions: { code } }),
    ],
  ])('%s', (_what, thrown) => {
    const { body, fault } = toPublicError(thrown, requestId);
    expect(body).toMatchObject({ ...masked, extensions: { code } });
    expect(JSON.stringify(body)).not.toContain('secret');
    expect(fault).toBeInstanceOf(Error);
  });

  test('without a request id the header is named', () => {
    expect(toPublicError(null, null).body.message).toBe(
      'Something went wrong; quote the x-request-id header.',
    );
  });

  test('an error whose originalErrors go round in a circle ends', () => {
    const error = new GraphQLError('round', { path: ['x'] });
    Object.defineProperty(error, 'originalError', { value: error });
    expect(toPublicError(error, requestId).body.extensions).toEqual({ code });
  });
});

test('a subclass of a public error is public', () => {
  class NoSuchModel extends NotFoundError {}
  expect(toPublicError(new NoSuchModel('no'), requestId).body.extensions).toEqual({ code: 'NOT_FOUND' });
});

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
