import { parseArgs } from 'node:util';
import { onCpu, type Provider } from '../../src/inference/providers/provider.ts';
import type { Tensor } from '../../src/inference/tensor.ts';
import type { Engine } from '../../src/inference/worker/engine.ts';
import { engines } from '../../src/inference/worker/engines/index.ts';
import { endProcess, untilStopped } from '../../src/inference/worker/lifetime.ts';
import { runWorker } from '../../src/inference/worker/worker.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { enginesHere } from './engines-here.ts';

/**
 * A worker process by itself: `worker-main.ts [leaking] [crashing] worker --listen … --artifacts … --threads n [--memory bytes] [--providers
 * cpu --device 0] [--exit-with-parent]`. One that leaks takes more than its memory within a second or two;
 * one that crashes does so on a picture that is nearly white all over, as an engine does that has a fault.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    artifacts: { type: 'string', default: '.' },
    threads: { type: 'string', default: '1' },
    memory: { type: 'string' },
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
    ...(values.memory !== undefined && { memoryBytes: Number(values.memory) }),
    compute: { providers: values.providers.split(',') as Provider[], deviceId: Number(values.device) },
  },
  logger,
  { lookMs: 100, ...(positionals.includes('crashing') && { engines: enginesHere({ onnx: crashing }) }) },
);
if (positionals.includes('leaking')) leak(Number(values.memory));
process.stdout.write(`${worker.address}\n`);
await untilStopped(worker, { exitWithParent: values['exit-with-parent'] }, logger);
endProcess(worker, 0);

async function crashing(): Promise<Engine> {
  const engine = await engines({ threads: 1, compute: onCpu, tensorFlow: 'auto' }, logger).onnx();
  return {
    platform: engine.platform,
    async load(artifact, files) {
      const model = await engine.load(artifact, files);
      return {
        ...model,
        async run(inputs, outputs) {
          if (inputs.some(hasWhiteImage)) process.kill(process.pid, 'SIGSEGV');
          return model.run(inputs, outputs);
        },
      };
    },
  };
}

function hasWhiteImage({ data, shape }: Tensor): boolean {
  const size = data.byteLength / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, at) => data.subarray(at * size, (at + 1) * size)).some(
    (image) => image.every((byte) => byte > 250),
  );
}

function leak(bytes: number): void {
  const hoard: Buffer[] = [];
  setInterval(() => {
    if (process.memoryUsage.rss() < bytes * 1.1) hoard.push(Buffer.alloc(2 ** 22, 1));
  }, 20);
}
