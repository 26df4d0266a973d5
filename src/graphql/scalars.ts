import { GraphQLError, GraphQLScalarType, Kind, type ValueNode } from 'graphql';

/** What a client may send for an integer of 64 bits. */
const integer = /^-?\d{1,19}$/;

/** RFC 3339 with a zero offset. Other offsets are refused: a period boundary is a day boundary in UTC and nowhere else. */
const utcTime = /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|\+00:00|-00:00)$/;

export const DateTime = new GraphQLScalarType<Date, string>({
  name: 'DateTime',
  serialize(value) {
    if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
    throw new TypeError(`DateTime cannot represent ${String(value)}: a resolver must answer a valid Date`);
  },
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(textOf(node, 'DateTime')),
});

/** A safe integer is written as a JSON number, a greater one as a string: a JSON number would lose its last digits. */
export const BigIntScalar = new GraphQLScalarType<bigint, number | string>({
  name: 'BigInt',
  serialize(value) {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
    if (typeof value === 'bigint') {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value.toString();
    }
    throw new TypeError(
      `BigInt cannot represent ${String(value)}: a resolver must answer a bigint or a safe integer`,
    );
  },
  parseValue: parseBigInt,
  parseLiteral(node) {
    if (node.kind === Kind.INT || node.kind === Kind.STRING) return parseBigInt(node.value);
    throw invalid('BigInt', 'an integer', node);
  },
});

export const UrlScalar = new GraphQLScalarType<string, string>({
  name: 'URL',
  serialize: String,
  parseValue: parseUrl,
  parseLiteral: (node) => parseUrl(textOf(node, 'URL')),
});

function parseDateTime(value: unknown): Date {
  const day = typeof value === 'string' ? utcTime.exec(value)?.[1] : undefined;
  const date = new Date(day === undefined ? Number.NaN : String(value));
  // The constructor turns 30 February into 2 March instead of refusing it.
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== day) {
    throw new GraphQLError(
      `DateTime must be an existing RFC 3339 time in UTC, such as 2026-11-23T09:00:00Z; got ${quoted(value)}.`,
    );
  }
  // Nothing here is older, and PostgreSQL has no year 0.
  if (date.getTime() < 0) {
    throw new GraphQLError(`DateTime must be 1970 or later; got ${quoted(value)}.`);
  }
  return date;
}

function parseBigInt(value: unknown): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && integer.test(value)) return BigInt(value);
  throw new GraphQLError(
    `BigInt must be an integer (beyond ±(2^53 − 1) as a string of digits); got ${quoted(value)}.`,
  );
}

function parseUrl(value: unknown): string {
  if (typeof value === 'string' && URL.canParse(value)) return value;
  throw new GraphQLError(
    `URL must be an absolute URL, such as https://example.com/cat.jpg; got ${quoted(value)}.`,
  );
}

function textOf(node: ValueNode, type: string): string {
  if (node.kind === Kind.STRING) return node.value;
  throw invalid(type, 'a string', node);
}

function invalid(type: string, expected: string, node: ValueNode): GraphQLError {
  return new GraphQLError(`${type} must be ${expected}.`, { nodes: [node] });
}

/** Bounded: an image's base64 sent where a URL belongs would otherwise be echoed whole. */
function quoted(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : typeof value;
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
