import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { ClassifyData, GraphqlClient } from '../support/graphql-client.ts';
import { examplePicture } from '../support/server.ts';
import { isThorough } from '../support/thorough.ts';
import { visionTransformers, writeVisionTransformer } from '../support/vision-transformer.ts';
import { clientOf, type Installation, installed, patience, pidOf } from './installation.ts';

const GIB = 2 ** 30;

/** The model of 300 million parameters takes minutes; else one of a fifteenth. */
const size = isThorough
  ? ({ name: 'large', millions: 300, needs: 10 * GIB, shardBytes: GIB / 2 } as const)
  : ({ name: 'small', millions: 20, needs: GIB, shardBytes: GIB / 32 } as const);

/** What keeps this machine from holding two such models at once; null: nothing. */
function lacking(): string | null {
  const { bavail, bsize } = statfsSync(tmpdir());
  const wanted = `${size.needs / GIB} GiB`;
  if (bavail * bsize < size.needs) return `${wanted} free in ${tmpdir()}`;
  return process.availableMemory() < size.needs ? `${wanted} of memory available` : null;
}

/** A version of a vision transformer with its manifest, in three files of weights. */
function writeVersion(version: number): { manifest: string; parameters: number; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-large-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  onTestFinished(remove);
  const { parameters } = writeVisionTransformer(folder, {
    // Patches of 32 pixels: a quarter of the computing of the usual 16, for as many parameters.
    ...visionTransformers[size.name],
    patch: 32,
    shardBytes: size.shardBytes,
    seed: version,
  });
  const { classes } = visionTransformers[size.name];
  writeFileSync(
    join(folder, 'labels.txt'),
    Array.from({ length: classes }, (_, n) => `class ${n}`).join('\n'),
  );
  const manifest = join(folder, 'manifest.json');
  const fields = {
    ...{ name: 'vit', version, task: 'CLASSIFY', format: 'onnx', file: 'vit.onnx', labels: 'labels.txt' },
    ...{ input: { width: 224, height: 224, scale: 1 / 127.5, mean: 1 }, output: { kind: 'logits' } },
  };
  writeFileSync(manifest, JSON.stringify(fields));
  return { manifest, parameters, remove };
}

async function importVersion(place: Installation, version: number): Promise<void> {
  const { manifest, parameters, remove } = writeVersion(version);
  expect(parameters).toBeGreaterThan(size.millions * 1e6);
  const { code, stdout, stderr } = await place.run('models', 'import', manifest).ended;
  expect({ code, stdout }, stderr).toEqual({
    code: 0,
    stdout: `Imported vit@${version} (CLASSIFY, 1000 labels). It is served.\n`,
  });
  // It takes seconds, and says at what.
  expect(stderr).toContain('trying the graph that takes pixels …\n');
  remove();
}

interface Answered {
  readonly askedAt: number;
  readonly version: number;
}

/** Asks for one model again and again; what is not an answer is kept as it came. */
function askOn(client: GraphqlClient, model: string) {
  const answered: Answered[] = [];
  const failed: unknown[] = [];
  let stopped = false;
  const ask = async () => {
    while (!stopped) {
      const askedAt = performance.now();
      const images = { base64: examplePicture() };
      const { data, errors } = await client.classify({ model, images, timeoutMs: 60_000 });
      const [result] = data?.classify.results ?? [];
      if (result?.__typename === 'Classification')
        answered.push({ askedAt, version: data!.classify.receipt.version });
      else failed.push({ errors, result });
    }
  };
  const ended = Promise.all([ask(), ask()]).catch((error) => failed.push(error));
  const stop = async () => {
    stopped = true;
    await ended;
  };
  return { answered, failed, stop };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{worker="local"\\} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function best(client: GraphqlClient, picture: string): Promise<{ index: number; score: number }> {
  const { data, errors } = await client.classify({
    model: 'vit',
    images: { base64: examplePicture(picture) },
    timeoutMs: 60_000,
  });
  expect(errors).toEqual([]);
  const [result] = (data as ClassifyData).classify.results;
  if (result?.__typename !== 'Classification') throw new Error(JSON.stringify(result));
  return result.labels[0]!;
}

const lack = lacking();

it.skipIf(lack !== null)(
  `a model of ${size.millions} million parameters is imported, served and replaced under load, without a failed request${lack === null ? '' : ` (needs ${lack})`}`,
  async () => {
    const place = await installed();
    const server = await place.start();
    const client = clientOf(server);
    const variants = await metric(server.url, 'fovea_worker_variants');
    const resident = await metric(server.url, 'fovea_worker_resident_bytes');
    await importVersion(place, 1);
    const worker = pidOf('worker', place);

    expect(await metric(server.url, 'fovea_worker_variants')).toBe(variants + 1);
    expect(await metric(server.url, 'fovea_worker_resident_bytes')).toBeGreaterThan(
      resident + 3e6 * size.millions,
    );
    const ofFirst = await best(client, 'red-circle');
    expect(await best(client, 'blue-star')).not.toEqual(ofFirst);

    const [large, small] = [askOn(client, 'vit'), askOn(client, 'shapes')];
    await vi.waitUntil(() => large.answered.length > 1 && small.answered.length > 1, patience);
    await importVersion(place, 2);
    const importedAt = performance.now();
    const before = large.answered.length;
    await vi.waitUntil(() => large.answered.length > before + 4, patience);
    await Promise.all([large.stop(), small.stop()]);

    expect([...large.failed, ...small.failed]).toEqual([]);
    expect(large.answered.map(({ version }) => version)).toContain(1);
    const after = large.answered.filter(({ askedAt }) => askedAt > importedAt);
    expect(after.length).toBeGreaterThan(0);
    expect(after.every(({ version }) => version === 2)).toBe(true);
    expect(await best(client, 'red-circle')).not.toEqual(ofFirst);
    expect(pidOf('worker', place)).toBe(worker);
    expect(await metric(server.url, 'fovea_worker_variants')).toBe(variants + 2);
  },
  600_000,
);
