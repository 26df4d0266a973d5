import { Counter, Histogram, type Registry } from 'prom-client';

export interface RequestMetrics {
  /** `status` null: the client hung up before it was answered. */
  observe(request: { status: number | null; codes: readonly string[]; durationMs: number }): void;
}

/**
 * Requests as the transport saw them. Refused ones have no booking, so this is where they are counted. Labels are ours alone
 * (statuses and the contract's codes): a label that clients choose would let them fill the memory.
 */
export function createRequestMetrics(registry: Registry): RequestMetrics {
  const requests = new Histogram({
    name: 'fovea_graphql_request_seconds',
    help: 'HTTP requests to /graphql, from the first byte to the last of the answer, by HTTP status',
    labelNames: ['status'],
    buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
    registers: [registry],
  });
  const errors = new Counter({
    name: 'fovea_graphql_errors_total',
    help: 'Entries of `errors` in answers, by extensions.code',
    labelNames: ['code'],
    registers: [registry],
  });
  return {
    observe({ status, codes, durationMs }) {
      requests.observe({ status: status ?? 'aborted' }, durationMs / 1000);
      for (const code of codes) errors.inc({ code });
    },
  };
}
