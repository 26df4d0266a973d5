import type { Parameters } from '../../oip/codec.ts';
import { OipError } from '../../oip/errors.ts';
import { excerpt } from '../../oip/excerpt.ts';
import { ORDINARY_LEVEL, type Wish } from '../turns.ts';

const LOWEST_LEVEL = 100;
/** Characters of a tenant's name. */
const LONGEST_TENANT = 200;
/** Beyond any plan's; what is close to 0 would be owed for ever. */
const WEIGHTS = { least: 0.001, most: 1_000_000 };

/**
 * Triton's schedule policy. `priority`: 1 before 2 before … 100, 0 as if it were left out: level 50, between the others, so that
 * some requests can give way to those that say nothing. `timeout`: microseconds within which a request is to be done, 0 as if it
 * were left out: whenever. And our own, `fovea_scheduling`: `tenant`, one without a name where it is left out, and its
 * `weight`, 1. Throws OipError 400.
 */
export function readSchedule({
  tenant = '',
  weight = 1,
  priority = 0,
  timeout = 0,
}: Parameters): Omit<Wish, 'signal'> {
  const level = whole('priority', priority, LOWEST_LEVEL) || ORDINARY_LEVEL;
  const timeoutUs = whole('timeout', timeout, Number.MAX_SAFE_INTEGER);
  return {
    tenant: readTenant(tenant),
    weight: readWeight(weight),
    level,
    timeoutMs: timeoutUs === 0 ? null : timeoutUs / 1_000,
  };
}

function readTenant(value: unknown): string {
  if (typeof value === 'string' && value.length <= LONGEST_TENANT) return value;
  throw new OipError(
    400,
    `parameters.tenant: expected at most ${LONGEST_TENANT} characters, found ${excerpt(value)}`,
  );
}

function readWeight(value: unknown): number {
  const { least, most } = WEIGHTS;
  if (typeof value === 'number' && value >= least && value <= most) return value;
  throw new OipError(400, `parameters.weight: expected a number ${least}..${most}, found ${excerpt(value)}`);
}

function whole(name: string, value: unknown, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new OipError(400, `parameters.${name}: expected a whole number 0..${most}, found ${excerpt(value)}`);
}
