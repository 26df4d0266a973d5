/**
 * A load generator as a process of its own: `start-generator.ts` starts it and tells it over IPC what to ask, so that what a
 * bench does beside (reading metrics, counting) delays no request, and one crowd's clients do not delay another's.
 */
import { Asking } from './asking.ts';
import type { Sample, Stream } from './stream.ts';

export type Order =
  | { readonly kind: 'begin'; readonly streams: Readonly<Record<string, Stream>> }
  | { readonly kind: 'take' }
  | { readonly kind: 'end' };

/** By stream; `cpuMs`: what the generator itself has computed since it was last asked. */
export interface Taken {
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
  readonly cpuMs: number;
}

let asking = new Map<string, Asking>();
let cpu = process.cpuUsage();

function taken(): Taken {
  const used = process.cpuUsage(cpu);
  cpu = process.cpuUsage();
  const samples = Object.fromEntries([...asking].map(([name, each]) => [name, each.take()]));
  return { samples, cpuMs: (used.user + used.system) / 1000 };
}

async function obey(order: Order): Promise<Taken> {
  if (order.kind === 'begin') {
    cpu = process.cpuUsage();
    asking = new Map(Object.entries(order.streams).map(([name, stream]) => [name, new Asking(stream)]));
  }
  if (order.kind === 'end') await Promise.all([...asking.values()].map((each) => each.stop()));
  return taken();
}

process.on('message', async (order: Order) => process.send!(await obey(order)));
process.on('disconnect', () => process.exit(0));
process.send!('ready');
