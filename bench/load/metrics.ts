import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { sumOf } from './figures.ts';

/** Values of a Prometheus page by series: a name with its labels as the page writes them. */
export type Metrics = ReadonlyMap<string, number>;

export async function readMetrics(url: string): Promise<Metrics> {
  const { body } = await request(`${url}/metrics`);
  const found = new Map<string, number>();
  for (const line of (await body.text()).split('\n')) {
    const at = line.lastIndexOf(' ');
    if (line.startsWith('#') || at < 0) continue;
    found.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return found;
}

/** The sum of a metric over its labels; NaN where the page does not have it. */
export function total(metrics: Metrics, name: string): number {
  const found = [...metrics].filter(([series]) => series === name || series.startsWith(`${name}{`));
  return found.length === 0 ? Number.NaN : sumOf(found.map(([, value]) => value));
}

/** Reads the metrics every `everyMs` until it is stopped, and hands each reading to `look`. */
export function watchMetrics(
  url: string,
  everyMs: number,
  look: (metrics: Metrics) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      look(await readMetrics(url));
      await sleep(everyMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  watching.catch(() => {});
  return {
    async stop() {
      stopping.abort();
      await watching;
    },
  };
}
