import { fileURLToPath } from 'node:url';
import { LocalWorker } from '../../src/inference/pool/local-worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { variantOf } from './variants.ts';

/** A process with a local worker: `worker-parent.ts <artefact folder> <sha256>` prints the worker's pid once it is ready. */
const [artifacts = '', sha256 = ''] = process.argv.slice(2);
const command = [
  process.execPath,
  '--disable-warning=ExperimentalWarning',
  fileURLToPath(new URL('worker-main.ts', import.meta.url)),
];
const worker = new LocalWorker({ artifacts, threads: 1, command }, createLogger('silent'));
await worker.ensureLoaded(variantOf('mean', sha256));
process.stdout.write(`${worker.stats().pid}\n`);
