import { type Compute, deviceName } from '../../../providers/provider.ts';
import type { Tensor } from '../../../tensor.ts';
import type { LoadedModel } from '../../engine.ts';
import { distance } from './distance.ts';
import { loadOnCpu, modelOf } from './model.ts';
import { type Placement, RunProfile } from './placement.ts';
import { type ComputeSettings, createSession, type Graph } from './session.ts';

/** Another order of sums moves an answer by 1e-5 of its largest number, TF32 by 1e-3. More is worth a word. */
const UNREMARKABLE = 0.01;

/**
 * A model on something else than the CPU alone. Import has shown on the CPU that the graph answers right; the first run
 * here, which is the warm-up where the graph's sizes are known, shows which nodes this machine's device took, and is held
 * against the CPU's: a driver's fault would be served and billed.
 */
export async function loadAccelerated(graph: Graph, settings: ComputeSettings): Promise<LoadedModel> {
  const { compute } = settings;
  const profile = new RunProfile();
  const session = await createSession(graph, settings, profile.prefix).catch((error) => {
    profile.remove();
    throw error;
  });
  const model = await modelOf(session, deviceName(compute.providers[0]!, compute.deviceId));
  let unproven: Graph | null = graph;
  let placement: Placement | null = null;
  let remarks: readonly string[] = [];
  return {
    ...model,
    get device() {
      return placement === null ? model.device : deviceOf(placement, compute);
    },
    get remarks() {
      return remarks;
    },
    async run(inputs, outputs) {
      const found = await model.run(inputs, outputs);
      if (unproven !== null) {
        placement ??= profile.read(session);
        const wanted = await runOnCpu(unproven, settings, inputs, outputs);
        remarks = [...remarksOnPlacement(placement, compute), ...remarksOnAnswers(found, wanted)];
        unproven = null;
      }
      return found;
    },
    async dispose() {
      profile.remove();
      await model.dispose();
    },
  };
}

async function runOnCpu(
  graph: Graph,
  settings: ComputeSettings,
  inputs: readonly Tensor[],
  outputs: readonly string[],
): Promise<Tensor[]> {
  const model = await loadOnCpu(graph, settings);
  try {
    return await model.run(inputs, outputs);
  } finally {
    await model.dispose();
  }
}

/** The first of the providers asked for that took any node; what none took, the CPU did. */
function deviceOf(placement: Placement, { providers, deviceId }: Compute): string {
  return deviceName(providers.find((provider) => placement.has(provider)) ?? 'cpu', deviceId);
}

/** What the CPU took where nobody asked for it. */
function remarksOnPlacement(placement: Placement, { providers }: Compute): string[] {
  const left = placement.get('cpu') ?? [];
  if (left.length === 0 || providers.includes('cpu')) return [];
  const all = [...placement.values()].reduce((sum, nodes) => sum + nodes.length, 0);
  const operators = [...new Set(left)].sort().join(', ');
  return [
    `${left.length} of ${all} nodes run on the CPU, since ${providers.join(' and ')} cannot: ${operators}`,
  ];
}

/** Throws where the device answers what is no number, or of another shape. */
function remarksOnAnswers(found: readonly Tensor[], wanted: readonly Tensor[]): string[] {
  return found.flatMap((tensor, index) => {
    const apart = distance(tensor, wanted[index]!);
    if (Number.isNaN(apart)) {
      throw new Error(`output '${tensor.name}' is no number, or of another shape, where the CPU's is one`);
    }
    if (apart <= UNREMARKABLE) return [];
    return [`output '${tensor.name}' is up to ${apart.toPrecision(2)} of its largest number off the CPU's`];
  });
}
