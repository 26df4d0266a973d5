import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { ArtifactStore } from '../../../src/inference/artifact-store.ts';
import { loadTimeoutMs } from '../../../src/inference/pool/load-timeout.ts';
import { type Compute, onCpu } from '../../../src/inference/providers/provider.ts';
import { artifactFolder } from '../../support/artifact-folder.ts';

it('is two minutes on a CPU and ten elsewhere, and four more for each GiB that the variant has', async () => {
  const store = new ArtifactStore(artifactFolder().dir);
  /** Takes no room on the disk. */
  const emptyFile = (digit: string, gibibytes: number) => {
    const path = store.path(digit.repeat(64));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
    truncateSync(path, gibibytes * 2 ** 30);
    return digit.repeat(64);
  };
  const minutes = async (artifactSha256: string, externalData: string[], compute: Compute | null = onCpu) =>
    (await loadTimeoutMs({ artifactSha256, externalData }, compute, store)) / 60_000;
  const [graph, weights, missing] = [emptyFile('a', 0.25), emptyFile('b', 1), 'c'.repeat(64)];
  expect(await minutes(missing, [])).toBe(2);
  expect(await minutes(graph, [])).toBe(3);
  expect(await minutes(graph, [weights, missing])).toBe(7);
  expect(await minutes(graph, [weights], { ...onCpu, providers: ['cuda', 'cpu'] })).toBe(15);
  expect(await minutes(graph, [weights], null)).toBe(15);
});
