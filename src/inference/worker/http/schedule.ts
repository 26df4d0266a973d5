import type { Parameters } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import { excerpt } from '../../oip/excerpt.ts';
import type { Wish } from '../run-queue.ts';

const LOWEST_LEVEL = 100;
/** Between the levels, so that some requests can give way to those that say nothing. */
const DEFAULT_LEVEL = 50;

/**
 * Triton's schedule policy. `priority`: 1 before 2 before … 100, 0 as if it were left out: level 50. `timeout`: microseconds
 * that a request may wait before it runs, 0 as if it were left out: for ever. Throws OipError 400.
 */
export function readSchedule({ priority = 0, timeout = 0 }: Parameters): Pick<Wish, 'level' | 'timeoutMs'> {
  const level = whole('priority', priority, LOWEST_LEVEL) || DEFAULT_LEVEL;
  const timeoutUs = whole('timeout', timeout, Number.MAX_SAFE_INTEGER);
  return { level, timeoutMs: timeoutUs === 0 ? null : timeoutUs / 1_000 };
}

function whole(name: string, value: unknown, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new OipError(400, `parameters.${name}: expected a whole number 0..${most}, found ${excerpt(value)}`);
}
