import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import type { Provider } from '../../../providers/provider.ts';

/** The nodes of a graph by what they ran on, each by its operator's name. */
export type Placement = ReadonlyMap<Provider, readonly string[]>;

const ownNames: Readonly<Record<string, Provider>> = {
  CPUExecutionProvider: 'cpu',
  WebGpuExecutionProvider: 'webgpu',
  CUDAExecutionProvider: 'cuda',
  TensorrtExecutionProvider: 'tensorrt',
};

/**
 * The profile of one run, which is the one way to learn through the Node binding where a session's nodes run: what a provider
 * cannot take is the CPU's without a word, and to forbid that (`session.disable_cpu_ep_fallback`) refuses good graphs whole
 * for the few nodes that compute shapes. Runs after it cost nothing more.
 */
export class RunProfile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'fovea-profile-'));
  /** What the session is to be created with. */
  readonly prefix = join(this.#folder, 'run');

  /** Ends it, after the run. */
  read(session: InferenceSession): Placement {
    session.endProfiling();
    const [file] = readdirSync(this.#folder);
    const placement = placementOf(JSON.parse(readFileSync(join(this.#folder, file!), 'utf8')));
    this.remove();
    return placement;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name: string;
  readonly args?: { readonly provider?: string; readonly op_name?: string; readonly node_index?: string };
}

function placementOf(events: readonly ProfileEvent[]): Placement {
  const nodes = new Map<Provider, Map<string, string>>();
  for (const { cat, name, args: { provider = '', op_name: operator, node_index: index } = {} } of events) {
    const own = ownNames[provider];
    // Copies between the memories of devices are nodes of the runtime's own. A node in a loop runs more than once.
    if (cat !== 'Node' || !own || !operator || operator.startsWith('Memcpy')) continue;
    nodes.set(own, (nodes.get(own) ?? new Map<string, string>()).set(`${name} ${index}`, operator));
  }
  return new Map([...nodes].map(([provider, operators]) => [provider, [...operators.values()]]));
}
