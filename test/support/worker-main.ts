import { parseArgs } from 'node:util';
import type { Provider } from '../../src/inference/providers/provider.ts';
import { untilStopped } from '../../src/inference/worker/lifetime.ts';
import { runWorker } from '../../src/inference/worker/worker.ts';
import { createLogger } from '../../src/lib/logger.ts';

/** A worker process by itself: `worker-main.ts worker --listen … --artifacts … --threads n [--providers cpu --device 0] [--exit-with-parent]`. */
const { values } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    artifacts: { type: 'string', default: '.' },
    threads: { type: 'string', default: '1' },
    providers: { type: 'string', default: 'cpu' },
    device: { type: 'string', default: '0' },
    'exit-with-parent': { type: 'boolean', default: false },
  },
});
const logger = createLogger('silent');
const worker = await runWorker(
  {
    listen: values.listen,
    artifacts: values.artifacts,
    threads: Number(values.threads),
    compute: { providers: values.providers.split(',') as Provider[], deviceId: Number(values.device) },
  },
  logger,
);
process.stdout.write(`${worker.address}\n`);
await untilStopped(worker, { exitWithParent: values['exit-with-parent'] }, logger);
process.exit(0);
