import { createHash } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { placeOf } from '../../../src/inference/artifact-store.ts';
import type { OipClient } from '../../../src/inference/oip/client.ts';
import { elementsOf } from '../../../src/inference/oip/elements.ts';
import { moveWeightsOut } from '../../support/external-data.ts';
import { meanModel } from '../../support/onnx-fixture.ts';
import { startWorker } from './in-process-worker.ts';

type Artifacts = Awaited<ReturnType<typeof startWorker>>['artifacts'];

/** `meanModel` with its nine weights in a file of their own, stored as an import stores it. */
function storedMean(artifacts: Artifacts, gain: number) {
  let hash = '';
  const { graph, weights } = moveWeightsOut(meanModel(2, gain), (_, bytes) => {
    hash = createHash('sha256').update(bytes).digest('hex');
    return { location: placeOf(hash), offset: '0', length: String(bytes.length) };
  });
  expect(artifacts.put(weights.get('weights')!)).toBe(hash);
  return { sha256: artifacts.put(graph), external_data: hash };
}

async function fourTimesGain(client: OipClient, model: string): Promise<number | undefined> {
  const data = new Uint8Array(12).fill(4);
  const { outputs } = await client.infer(model, [
    { name: 'images', datatype: 'UINT8', shape: [1, 2, 2, 3], data },
  ]);
  return elementsOf('FP32', outputs[0]!.data)[0];
}

it('loads a graph whose weights are a file of the store', async () => {
  const { client, artifacts } = await startWorker();
  await client.load('mean', storedMean(artifacts, 3));
  expect(await fourTimesGain(client, 'mean')).toBe(12);
});

it('goes on with what it loaded when the store loses the file or brings it back', async () => {
  const { client, artifacts } = await startWorker();
  const { sha256, external_data } = storedMean(artifacts, 3);
  await client.load('mean', { sha256, external_data });
  const path = artifacts.path(external_data);
  const bytes = readFileSync(path);
  rmSync(path);
  expect(await fourTimesGain(client, 'mean')).toBe(12);
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
  await client.load('again', { sha256, external_data });
  expect(await fourTimesGain(client, 'again')).toBe(12);
});

it.each<[string, (path: string) => void, { status: number; message: RegExp }]>([
  ['is missing', rmSync, { status: 404, message: /^artefact [0-9a-f]{64}: not in / }],
  [
    'is damaged',
    (path) => writeFileSync(path, new Uint8Array(36)),
    { status: 400, message: /its content hashes to [0-9a-f]{64}/ },
  ],
  [
    'was cut short',
    (path) => writeFileSync(path, readFileSync(path).subarray(0, 35)),
    { status: 400, message: /its content hashes to [0-9a-f]{64}/ },
  ],
  [
    'is a link',
    (path) => {
      renameSync(path, `${path}.elsewhere`);
      symlinkSync(`${path}.elsewhere`, path);
    },
    { status: 400, message: /links are not followed/ },
  ],
])(
  'refuses a graph whose file %s, and loads it once that is mended',
  async (_, spoil, { status, message }) => {
    const { client, artifacts } = await startWorker();
    await client.load('mean', storedMean(artifacts, 1));
    const parameters = storedMean(artifacts, 3);
    const path = artifacts.path(parameters.external_data);
    linkSync(path, `${path}.kept`);
    const bytes = readFileSync(path);
    spoil(path);
    await expect(client.load('mean', parameters)).rejects.toMatchObject({
      status,
      message: expect.stringMatching(message),
    });
    expect(await fourTimesGain(client, 'mean')).toBe(4);
    rmSync(path, { force: true });
    artifacts.put(bytes);
    await client.load('mean', parameters);
    expect(await fourTimesGain(client, 'mean')).toBe(12);
  },
);

it.each(['../../etc/passwd', '/etc/passwd', 'nowhere'])(
  'refuses a graph that points to %s',
  async (location) => {
    const { client, artifacts } = await startWorker();
    const { graph } = moveWeightsOut(meanModel(2, 1), () => ({ location }));
    await expect(client.load('mean', { sha256: artifacts.put(graph) })).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/^model 'mean' cannot be loaded: .*(escapes|[Aa]bsolute|exist)/s),
    });
  },
);

it.each([
  ['../../../etc/passwd', /64 lower-case hexadecimal/],
  [',', /64 lower-case hexadecimal/],
  [7, /external_data/],
])('refuses external_data %j', async (external_data, message) => {
  const { client, artifacts } = await startWorker();
  const sha256 = artifacts.put(meanModel(2, 1));
  await expect(client.load('mean', { sha256, external_data })).rejects.toMatchObject({
    status: 400,
    message: expect.stringMatching(message),
  });
});
