import { onCpu } from '../../src/inference/providers/provider.ts';
import type { EngineLoader } from '../../src/inference/worker/engine.ts';
import { engines } from '../../src/inference/worker/engines/index.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { enginesHere } from './engines-here.ts';

/** ONNX Runtime, whose runs wait while they are held. */
export function heldEngine() {
  let held: Promise<void> | null = null;
  /** The first byte of each run's first input, in the order of the runs. */
  const runs: (number | undefined)[] = [];
  const load: EngineLoader = async () => {
    const engine = await engines(
      { threads: 1, compute: onCpu, tensorFlow: 'auto' },
      createLogger('silent'),
    ).onnx();
    return {
      platform: engine.platform,
      async load(artifact, folder) {
        const model = await engine.load(artifact, folder);
        return {
          ...model,
          async run(inputs, outputs) {
            runs.push(inputs[0]?.data[0]);
            await held;
            return model.run(inputs, outputs);
          },
        };
      },
    };
  };
  return {
    engines: enginesHere({ onnx: load }),
    runs,
    /** From now on; what is answered lets them go on. */
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = null;
        resolve();
      };
    },
  };
}
