import { Counter, Gauge, type Registry } from 'prom-client';
import type { ResultCache } from './result-cache.ts';

/** Nothing where the cache is off. */
export function registerCacheMetrics(registry: Registry, cache: ResultCache | null): void {
  if (cache === null) return;
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      ...{ name, help, registers: [registry] },
      collect() {
        this.set(read());
      },
    });
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      ...{ name, help, registers: [registry] },
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  gauge('fovea_cache_entries', 'Results in the cache.', () => cache.stats.entries);
  gauge('fovea_cache_bytes', 'What the results in the cache take of the heap.', () => cache.stats.bytes);
  gauge('fovea_cache_waiting', 'Images that wait for an equal one, which is run.', () => cache.stats.waiting);
  counter('fovea_cache_hits_total', 'Images answered from the cache.', () => cache.stats.hits);
  counter('fovea_cache_misses_total', 'Images that had to be run.', () => cache.stats.misses);
  counter(
    'fovea_cache_followers_total',
    'Images that shared the run of an equal one in flight.',
    () => cache.stats.followers,
  );
}
