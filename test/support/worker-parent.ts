import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LocalWorker } from '../../src/inference/pool/local-worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { pixelsOf, variantOf } from './variants.ts';

/**
 * A process with a local worker that holds `slowOnBrightModel(2)`: `worker-parent.ts <artefact folder> <sha256> [busy]` prints the
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
  void worker.infer(slow, pixelsOf(40));
  await sleep(500);
}
process.stdout.write(`${worker.stats().pid}\n`);
