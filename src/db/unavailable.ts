/** Prisma: not reachable, timed out, closed the connection, none in the pool in time, no transaction in time, too many connections. */
const prismaCodes = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2037']);

const systemCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** SQLSTATE: connection exceptions, insufficient resources, a statement out of time, and a server that stops, starts or crashed. */
const sqlStates = /^(08...|53...|57014|57P0.)$/;

/** What the driver gives no code to. */
const driverMessages =
  /^(Query read timeout|Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Cannot use a pool after)/;

/**
 * Whether `error` says that the database did not answer, or not in time, rather than what it answered: the connection broke or
 * could not be had. Nothing is known of what was asked; the same may be asked again.
 */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return codesOf(error).some(meansUnavailable) || driverMessages.test(error.message);
}

function meansUnavailable(code: unknown): boolean {
  return typeof code === 'string' && (prismaCodes.has(code) || systemCodes.has(code) || sqlStates.test(code));
}

/**
 * The driver's and Prisma's own code, the one that Prisma wraps where plain SQL failed (P2010), and the one of an adapter's error
 * that Prisma lets through as it is, where a transaction's connection was ended.
 */
function codesOf(error: Error): unknown[] {
  const { code, cause, meta } = error as Error & {
    readonly code?: unknown;
    readonly cause?: { readonly originalCode?: unknown };
    readonly meta?: {
      readonly driverAdapterError?: { readonly cause?: { readonly originalCode?: unknown } };
    };
  };
  return [code, cause?.originalCode, meta?.driverAdapterError?.cause?.originalCode];
}
