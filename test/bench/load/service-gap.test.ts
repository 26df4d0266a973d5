import { expect, test } from 'vitest';
import { largestGap } from '../../../bench/load/service-gap.ts';

const service = (tenant: string, at: number, serviceMs: number) => ({ tenant, at, serviceMs });

test('tenants that take turns are apart by one turn', () => {
  const turns = [0, 1, 2, 3].map((at) => service(at % 2 === 0 ? 'a' : 'b', at, 10));
  expect(largestGap(turns)).toBe(10);
});

test('the gap is that of the worst span, wherever it begins, of the worst pair', () => {
  // From the third on b gets 30 and a nothing; over the whole run they get the same.
  const services = [
    service('a', 0, 30),
    service('c', 1, 20),
    service('b', 2, 10),
    service('b', 3, 10),
    service('b', 4, 10),
  ];
  expect(largestGap(services)).toBe(30);
  expect(largestGap(services.toReversed())).toBe(30);
});
