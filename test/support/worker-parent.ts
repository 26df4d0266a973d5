import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bytesOf } from '../../src/inference/oip/elements.ts';
import { LocalWorker } from '../../src/inference/pool/local-worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { variantOf } from './variants.ts';

/**
 * A process with a local worker that holds `slowModel(2)`: `worker-parent.ts <artefact folder> <sha256> [busy]` prints the
 * worker's pid once it is ready, or runs a batch that never ends.
 */
const [artifacts = '', sha256 = '', busy] = process.argv.slice(2);
const command = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  fileURLToPath(new URL('worker-main.ts', import.meta.url)),
];
const worker = new LocalWorker({ artifacts, threads: 1, command }, createLogger('silent'));
const slow = variantOf('slow', sha256);
await worker.ensureLoaded(slow);
if (busy) {
  void worker.infer(slow, [
    { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data: new Uint8Array(12) },
    { name: 'rounds', datatype: 'INT64', shape: [1], data: bytesOf(BigInt64Array.of(2n ** 40n)) },
  ]);
  await sleep(500);
}
process.stdout.write(`${worker.stats().pid}\n`);
