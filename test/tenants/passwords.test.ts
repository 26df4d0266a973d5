import { parseOptions } from '@node-rs/argon2';
import { expect, test } from 'vitest';
import { OverloadedError } from '../../src/lib/errors.ts';
import { Passwords, passwordFault } from '../../src/tenants/passwords.ts';

test('a hash is argon2id, of the cost that OWASP recommends, and different each time', async () => {
  const passwords = new Passwords();
  const [first, second] = await Promise.all([
    passwords.hash('correct horse battery'),
    passwords.hash('correct horse battery'),
  ]);
  expect(parseOptions(first)).toMatchObject({
    algorithm: 2,
    memoryCost: 19_456,
    timeCost: 2,
    parallelism: 1,
  });
  expect(first).not.toBe(second);
  expect(await passwords.matches('correct horse battery', first)).toBe(true);
  expect(await passwords.matches('correct horse batterx', first)).toBe(false);
});

test('nobody’s password is never right', async () => {
  expect(await new Passwords().matches('', null)).toBe(false);
});

test('an accented letter is the same however it was composed', async () => {
  const passwords = new Passwords();
  const hash = await passwords.hash('cre\u0300me bru\u0302le\u0301e');
  expect(await passwords.matches('crème brûlée', hash)).toBe(true);
});

test('has 12 to 256 characters', () => {
  expect(passwordFault('x'.repeat(11))).toMatch(/12 to 256.*11/);
  expect(passwordFault('x'.repeat(12))).toBeNull();
  expect(passwordFault('🦊'.repeat(256))).toBeNull();
  expect(passwordFault('x'.repeat(257))).not.toBeNull();
});

test('more than can wait their turn are told to come back, and the others are served', async () => {
  const passwords = new Passwords();
  const attempts = await Promise.allSettled(Array.from({ length: 70 }, () => passwords.matches('x', null)));
  const refused = attempts.filter(({ status }) => status === 'rejected');
  expect(
    refused.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof OverloadedError),
  ).toEqual(
    Array(4).fill(true), // 2 at work, 64 waiting
  );
  expect(await passwords.matches('x', null)).toBe(false);
});
