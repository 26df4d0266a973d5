import { describe, expect, test } from 'vitest';
import { generateApiKey, parseApiKey } from '../../src/tenants/key-format.ts';
import { randomText } from '../../src/tenants/random-text.ts';

describe('the form of an API key', () => {
  test('is fov_<8>_<43><crc>, the CRC-32 of all before it as 8 lower-case hex digits', () => {
    for (let i = 0; i < 500; i++) {
      const { text, shortId, secret } = generateApiKey();
      expect(text).toMatch(/^fov_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}[0-9a-f]{8}$/);
      expect(text.slice(-8)).toBe(referenceCrc32(text.slice(0, -8)));
      expect(parseApiKey(text)).toEqual({ shortId, secret });
    }
  });

  test('keeps leading zeros of the checksum', () => {
    const body = `fov_AAAAAAAA_${'B'.repeat(43)}`;
    let found = 0;
    for (let i = 0; found < 3; i++) {
      const text = body.slice(0, -6) + i.toString().padStart(6, '0');
      const crc = referenceCrc32(text);
      if (!crc.startsWith('0')) continue;
      found++;
      expect(parseApiKey(text + crc)).not.toBeNull();
    }
  });

  test('any single changed character is noticed', () => {
    const { text } = generateApiKey();
    for (let i = 0; i < text.length; i++) {
      const changed = text.slice(0, i) + (text[i] === 'a' ? 'b' : 'a') + text.slice(i + 1);
      expect(parseApiKey(changed), changed).toBeNull();
    }
  });

  test.each([
    ['nothing', ''],
    ['a prefix alone', 'fov_'],
    ['a space behind it', `${generateApiKey().text} `],
    ['a line break behind it', `${generateApiKey().text}\n`],
    [
      'upper-case checksum',
      generateApiKey().text.replace(/.{8}$/, (crc) => (/[a-f]/.test(crc) ? crc.toUpperCase() : 'ABCDEF01')),
    ],
    ['a letter from elsewhere', generateApiKey().text.replace(/_./, '_é')],
    ['a megabyte', `fov_AAAAAAAA_${'a'.repeat(1 << 20)}`],
  ])('%s is no key', (_, text) => {
    expect(parseApiKey(text)).toBeNull();
  });
});

describe('random text', () => {
  test('uses every letter and digit equally often', () => {
    const length = 62 * 4_000;
    const counts = new Map<string, number>();
    for (const character of randomText(length)) counts.set(character, (counts.get(character) ?? 0) + 1);
    expect(counts.size).toBe(62);
    // Without rejection the first 8 characters would be 25 % likelier: 4,760 of each. The bound is 8 standard deviations away.
    for (const count of counts.values()) expect(Math.abs(count - 4_000)).toBeLessThan(500);
  });

  test('has the length asked for', () => {
    for (const length of [0, 1, 8, 43, 100]) expect(randomText(length)).toHaveLength(length);
  });
});

/** Bit by bit, from the definition. */
function referenceCrc32(text: string): string {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0');
}
