import { figuresOf } from './load/figures.ts';
import type { Generator } from './load/start-generator.ts';
import type { Stream } from './load/stream.ts';
import { progress } from './service.ts';

/** Clients that keep a service of two cores busy. */
export const SATURATING_CLIENTS = 32;

/** Images a second that are answered while there is always more to do, never 0. `streams`: closed ones, by name. */
export async function saturate(
  generator: Generator,
  streams: Readonly<Record<string, Stream>>,
  seconds: number,
): Promise<number> {
  await generator.run(streams, Math.min(2, seconds));
  const run = await generator.run(streams, seconds);
  const rates = Object.keys(streams).map((name) => figuresOf(run, name).imagesPerSecond);
  const perSecond = rates.reduce((sum, rate) => sum + rate, 0);
  if (perSecond === 0)
    throw new Error(`Nothing was answered in ${seconds} s: measure for longer, or with more time for each.`);
  progress(`saturated at ${perSecond.toFixed(1)} images/s`);
  return perSecond;
}

export function closed(clients: number): { kind: 'closed'; clients: number } {
  return { kind: 'closed', clients };
}

/** `seed`: another for each measurement, and the same in each run of a bench. */
export function open(perSecond: number, seed: number): { kind: 'open'; perSecond: number; seed: number } {
  return { kind: 'open', perSecond, seed };
}
