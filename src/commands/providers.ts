import { type Provider, providers } from '../config/config.ts';
import { installLines } from '../inference/providers/install-lines.ts';
import { type Probe, probeProvider } from '../inference/providers/probe.ts';
import { OperatorError } from '../lib/errors.ts';
import { type OutputOptions, print, table } from './output.ts';

/** Tries each in turn: two at once would share the device and, on a driver that computes on the CPU, all cores. */
export async function listProviders(names: readonly string[], options: OutputOptions): Promise<void> {
  const unknown = names.find((name) => !providers.some((known) => known === name));
  if (unknown !== undefined) {
    throw new OperatorError(`providers: found ${unknown}, wanted ${providers.join(', ')}.`, 2);
  }
  const probes: Probe[] = [];
  const asked = names.length > 0 ? (names as readonly Provider[]) : providers;
  for (const name of asked) probes.push(await probeProvider(name));
  print(options, described(probes), probes);
  if (names.length > 0 && probes.some(({ works }) => !works)) process.exitCode = 1;
}

function described(probes: readonly Probe[]): string {
  const rows = probes.flatMap((probe) =>
    probe.works
      ? probe.devices.map(({ device, name }) => [device, 'computes', name ?? ''])
      : [[probe.provider, 'cannot', probe.reason]],
  );
  const lines = probes
    .filter(({ works }) => !works)
    .flatMap(({ provider }) => [
      '',
      `${provider} on Debian or Ubuntu:`,
      ...installLines[provider].map((line) => `  ${line}`),
    ]);
  return [table(['DEVICE', 'STATE', 'WHAT'], rows), ...lines].join('\n');
}
