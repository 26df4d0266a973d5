import { stat } from 'node:fs/promises';
import type { ArtifactStore } from '../artifact-store.ts';
import type { Compute } from '../providers/provider.ts';
import type { Variant } from '../variant.ts';

/** Loading includes warming up, and a large graph takes seconds to optimise; TensorRT builds an engine a shape, for minutes. */
const ANY_MS = { onCpu: 120_000, elsewhere: 600_000 };
/** On a busy machine with a slow disk: its files are read, hashed and laid out anew. */
const EACH_GIB_MS = 240_000;

/** For how long a worker may load a variant before it is taken to hang, milliseconds. `compute` null: what it computes on is not known. */
export async function loadTimeoutMs(
  { artifactSha256, externalData }: Pick<Variant, 'artifactSha256' | 'externalData'>,
  compute: Compute | null,
  artifacts: ArtifactStore,
): Promise<number> {
  let bytes = 0;
  for (const sha256 of [artifactSha256, ...externalData]) {
    // Whoever loads it says what is missing.
    bytes += (await stat(artifacts.path(sha256)).catch(() => null))?.size ?? 0;
  }
  const anyMs = compute?.providers[0] === 'cpu' ? ANY_MS.onCpu : ANY_MS.elsewhere;
  return anyMs + (EACH_GIB_MS * bytes) / 2 ** 30;
}
