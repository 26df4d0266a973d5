import type { ApolloServerPlugin } from '@apollo/server';
import { QueryTooComplexError, RateLimitedError } from '../../lib/errors.ts';
import { anonymousBucket, type Bucket } from '../../tenants/failure-limit.ts';
import type { GraphqlContext } from '../context.ts';
import { operationCost } from './cost.ts';

/** Characters of an operation's name that are logged: a client may choose one of many megabytes. */
const LOGGED_NAME = 100;

/**
 * Charges an operation before it runs: by what it costs, to the tenant, or to the client's address where nobody is
 * known. Reports on every response what was charged and what is left, and the request's id.
 */
export function limitsPlugin(): ApolloServerPlugin<GraphqlContext> {
  return {
    async requestDidStart({ contextValue }) {
      const { key, limit } = bucketOf(contextValue);
      let cost: { requested: number; limit: number; remaining: number; restoreRate: number } | null = null;

      return {
        async didResolveOperation({ schema, document, operation, operationName, request }) {
          contextValue.record.operationName = operationName?.slice(0, LOGGED_NAME) ?? null;
          if (!operation) return; // Which one to run is not said: the executor answers that, and runs nothing.
          const requested = operationCost(schema, document, operation, request.variables ?? {});
          contextValue.record.cost = requested;
          if (requested > limit.burst) {
            throw new QueryTooComplexError(
              `The operation costs ${requested} points, above the burst of ${limit.burst}: send it in parts.`,
            );
          }
          const { admitted, remaining, retryAfterMs } = await contextValue.services.rateLimiter.take(
            key,
            requested,
            limit,
          );
          cost = { requested, limit: limit.burst, remaining, restoreRate: limit.pointsPerSecond };
          if (!admitted) {
            throw new RateLimitedError(
              `The operation costs ${requested} points and ${remaining} are left: send it again in ${retryAfterMs} ms.`,
              { retryAfterMs },
            );
          }
        },
        async willSendResponse({ response: { body } }) {
          if (body.kind !== 'single') return;
          body.singleResult.extensions = {
            ...body.singleResult.extensions,
            ...(cost && { cost }),
            requestId: contextValue.requestId,
          };
        },
      };
    },
  };
}

function bucketOf({ principal, clientAddress }: GraphqlContext): Bucket {
  if (principal === null) return anonymousBucket(clientAddress);
  return { key: `tenant:${principal.tenant.id}`, limit: principal.tenant.plan };
}
