import { availableParallelism } from 'node:os';
import { OperatorError } from '../../lib/errors.ts';
import { installLines } from './install-lines.ts';
import { type Probe, probeProvider } from './probe.ts';
import { type Compute, isNvidia, type Provider, reachable } from './provider.ts';

/**
 * What each local worker is to compute on: `perDevice` of them on every GPU that CUDA shows, where one of the providers is
 * NVIDIA's, else on the one device there is. The CPU alone is not tried. Where `perDevice` is null: two on a CPU of several
 * cores, since two batches on half of the cores each wait less for each other's threads than one on all of them (a tenth more
 * images on two cores), and one on anything else.
 *
 * @throws OperatorError (exit 2) where a provider does not compute here, with why and the lines that install it: what was
 *   asked for is never replaced by another in silence
 */
export async function placeWorkers(asked: readonly Provider[], perDevice: number | null): Promise<Compute[]> {
  const devices = await countDevices(asked);
  const providers = reachable(asked);
  const onEach = perDevice ?? (providers[0] === 'cpu' ? Math.min(2, availableParallelism()) : 1);
  return Array.from({ length: devices * onEach }, (_, index) => ({
    providers,
    deviceId: Math.floor(index / onEach),
  }));
}

/** What a worker computes on that is given its device. Throws as `placeWorkers` does, and where there is no such device. */
export async function placeOn(deviceId: number, asked: readonly Provider[]): Promise<Compute> {
  const devices = await countDevices(asked);
  if (deviceId < devices) return { providers: reachable(asked), deviceId };
  throw new OperatorError(
    `--device: found ${deviceId}, wanted 0..${devices - 1}: ${asked.join(' and ')} shows ${devices}.`,
    2,
  );
}

async function countDevices(asked: readonly Provider[]): Promise<number> {
  const probes = await Promise.all(asked.filter((name) => name !== 'cpu').map(probeProvider));
  const faults = probes.filter((probe) => !probe.works);
  if (faults.length > 0) throw new OperatorError(faults.map(explain).join('\n'), 2);
  const gpus = probes.flatMap((probe) =>
    probe.works && isNvidia(probe.provider) && reachable(asked).includes(probe.provider)
      ? [probe.devices.length]
      : [],
  );
  return Math.max(1, ...gpus);
}

function explain({ provider, reason }: Extract<Probe, { works: false }>): string {
  return [
    `FOVEA_PROVIDERS: ${provider} cannot compute here: ${reason}.`,
    'These lines install it on Debian or Ubuntu (docs/gpu.md says more):',
    ...installLines[provider].map((line) => `  ${line}`),
  ].join('\n');
}
