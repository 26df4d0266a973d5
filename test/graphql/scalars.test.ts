import { parseValue } from 'graphql';
import { describe, expect, test } from 'vitest';
import { BigIntScalar, DateTime, UrlScalar } from '../../src/graphql/scalars.ts';

describe('DateTime', () => {
  test.each([
    ['2026-11-23T09:18:51Z', '2026-11-23T09:18:51.000Z'],
    ['2026-11-23T09:18:51.5Z', '2026-11-23T09:18:51.500Z'],
    ['2026-11-23T09:18:51.123456+00:00', '2026-11-23T09:18:51.123Z'],
    ['2028-02-29T00:00:00-00:00', '2028-02-29T00:00:00.000Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
  ])('reads %s', (text, iso) => {
    expect(DateTime.parseValue(text)).toEqual(new Date(iso));
    expect(DateTime.parseLiteral(parseValue(JSON.stringify(text)))).toEqual(new Date(iso));
  });

  test.each([
    '2026-11-23',
    '2026-11-23T09:18Z',
    '2026-11-23T09:18:51',
    '2026-11-23 09:18:51Z',
    '2026-11-23T09:18:51+01:00',
    '2026-02-30T00:00:00Z',
    '2027-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-11-23T24:00:00Z',
    '2026-11-23T09:60:00Z',
    '2026-11-23T09:18:60Z',
    ' 2026-11-23T09:18:51Z',
    '+012026-11-23T09:18:51Z',
    '',
    1763889531,
    null,
    {},
  ])('refuses %j', (value) => {
    expect(() => DateTime.parseValue(value)).toThrow(/DateTime must be/);
  });

  test.each(['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '1969-12-31T23:59:59.999Z'])(
    'refuses %s: before 1970',
    (text) => {
      expect(() => DateTime.parseValue(text)).toThrow(`DateTime must be 1970 or later; got "${text}"`);
    },
  );

  test('refuses a literal that is no string', () => {
    expect(() => DateTime.parseLiteral(parseValue('2026'))).toThrow('DateTime must be a string');
  });

  test('writes RFC 3339 in UTC, and nothing for what is no date', () => {
    expect(DateTime.serialize(new Date(Date.UTC(2026, 0, 2)))).toBe('2026-01-02T00:00:00.000Z');
    expect(() => DateTime.serialize(new Date(Number.NaN))).toThrow(TypeError);
    expect(() => DateTime.serialize('2026-01-02T00:00:00Z')).toThrow(TypeError);
  });
});

describe('BigInt', () => {
  test.each([
    [0, 0],
    [-5, -5],
    [12n, 12],
    [2 ** 53 - 1, 9007199254740991],
    [2n ** 53n - 1n, 9007199254740991],
    [2n ** 53n, '9007199254740992'],
    [-(2n ** 60n), '-1152921504606846976'],
  ])('writes %s', (value, written) => {
    expect(BigIntScalar.serialize(value)).toBe(written);
  });

  test.each([1.5, 2 ** 53, Number.NaN, '7', null])('does not write %s', (value) => {
    expect(() => BigIntScalar.serialize(value)).toThrow(TypeError);
  });

  test.each([
    [7, 7n],
    ['9007199254740993', 9007199254740993n],
    ['-12', -12n],
  ])('reads %j', (value, read) => {
    expect(BigIntScalar.parseValue(value)).toBe(read);
    expect(BigIntScalar.parseLiteral(parseValue(JSON.stringify(value)))).toBe(read);
  });

  test('reads every digit of a literal', () => {
    expect(BigIntScalar.parseLiteral(parseValue('9007199254740993'))).toBe(9007199254740993n);
  });

  test.each([1.5, 2 ** 53, '1e3', '0x10', ' 1', '', '12345678901234567890', true, null, []])(
    'refuses %j',
    (value) => {
      expect(() => BigIntScalar.parseValue(value)).toThrow('BigInt must be');
    },
  );
});

describe('URL', () => {
  test.each(['https://example.com/a?b#c', 'http://[::1]:8080/', 'file:///etc/passwd'])(
    'reads %s: where a URL may lead is for whoever follows it to decide',
    (text) => {
      expect(UrlScalar.parseValue(text)).toBe(text);
    },
  );

  test.each(['example.com/cat.jpg', '/cat.jpg', '', 7, null])('refuses %j', (value) => {
    expect(() => UrlScalar.parseValue(value)).toThrow('URL must be an absolute URL');
  });

  test('does not echo an image that was sent as a URL', () => {
    const image = 'A'.repeat(100_000);
    expect(() => UrlScalar.parseValue(image)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('A'.repeat(100)) }),
    );
  });
});
