import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { percentile } from './load/figures.ts';

const WRITES = 200;

/** Milliseconds that a write of one page of PostgreSQL's log takes to be on the disk below `folder`: what no commit is faster than. */
export function fsyncMs(folder: string): { readonly p50: number; readonly p99: number } {
  const path = join(folder, 'fsync-probe');
  const file = openSync(path, 'w');
  const page = Buffer.alloc(8_192, 1);
  const times: number[] = [];
  for (let write = 0; write < WRITES; write++) {
    const from = performance.now();
    writeSync(file, page, 0, page.length, write * page.length);
    fdatasyncSync(file);
    times.push(performance.now() - from);
  }
  closeSync(file);
  rmSync(path);
  return { p50: percentile(times, 50), p99: percentile(times, 99) };
}
