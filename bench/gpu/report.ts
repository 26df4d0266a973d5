import type { Probe } from '../../src/inference/providers/probe.ts';
import type { Agreement, Rate } from './engine.ts';
import type { Machine } from './machine.ts';

export interface Served {
  /** Images a second that are decoded to the model's input with every thread, and nothing else under way. */
  readonly decoded: number;
  /** The engine's best, by its own time, of the batches that the service makes. */
  readonly computed: number;
  /** Answered and booked over GraphQL. */
  readonly served: number;
  /** Of the smaller of the two. */
  readonly ratio: number;
}

/** One model on one provider. */
export interface Result {
  readonly model: string;
  readonly provider: string;
  readonly agreement: Agreement;
  readonly rates: readonly Rate[];
  readonly served: Served | null;
  /** Why something of it is missing; null: all is there. */
  readonly fault: string | null;
}

export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly probes: readonly Probe[];
  readonly results: readonly Result[];
}

export function inMarkdown({ date, machine, probes, results }: Report): string {
  const { cpu, threads, memoryGiB, gpus, vulkanDrivers } = machine;
  const batches = [...new Set(results.flatMap(({ rates }) => rates.map(({ batch }) => batch)))];
  return [
    '# What this machine computes with',
    `${date}, Fovea ${machine.fovea}, Node ${machine.node}`,
    [
      `- CPU: ${cpu}, ${threads} threads, ${memoryGiB} GiB`,
      `- NVIDIA GPUs: ${gpus.join('; ') || 'none that nvidia-smi lists'}`,
      `- Vulkan drivers: ${vulkanDrivers.join(', ') || 'none found'}`,
    ].join('\n'),
    '## Providers',
    table(
      ['provider', 'device', 'name', 'off the CPU by'],
      probes.flatMap((probe) =>
        probe.works
          ? probe.devices.map(({ device, name, distance }) => [
              probe.provider,
              device,
              name ?? '',
              small(distance),
            ])
          : [[probe.provider, 'none', probe.reason, '']],
      ),
    ),
    '## Answers beside the CPU’s',
    'The largest difference of two numbers of an output, in shares of its largest.',
    table(
      ['model', 'device', 'pictures', 'off by'],
      results
        .filter(({ provider }) => provider !== 'cpu')
        .map(({ model, agreement: { device, pictures, distance } }) => [
          model,
          device,
          String(pictures),
          distance === null ? '**no numbers**' : small(distance),
        ]),
    ),
    '## The engine: images a second by batch',
    'By the engine’s own time, one batch after the other.',
    table(
      ['model', 'device', ...batches.map(String)],
      results.map(({ model, agreement, rates }) => [
        model,
        agreement.device,
        ...batches.map((size) => rate(rates.find(({ batch }) => batch === size)?.imagesPerSecond)),
      ]),
    ),
    '## The whole service: images a second',
    'Answered and booked over GraphQL, beside the smaller of what is decoded and what the engine computes.',
    table(
      ['model', 'device', 'decoded', 'computed', 'served', 'ratio'],
      results.map(({ model, agreement, served }) => [
        model,
        agreement.device,
        rate(served?.decoded),
        rate(served?.computed),
        rate(served?.served),
        served ? `**${served.ratio.toFixed(2)}**` : '',
      ]),
    ),
    ...results.flatMap(({ model, provider, fault }) =>
      fault === null ? [] : [`${model} on ${provider}: **${fault}**`],
    ),
    '',
  ].join('\n\n');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

function small(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

function rate(value: number | undefined): string {
  if (value === undefined) return '';
  return value < 10 ? value.toFixed(2) : value.toFixed(0);
}
