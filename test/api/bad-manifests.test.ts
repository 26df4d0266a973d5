import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ModelFolder, modelFolder } from '../models/model-folder.ts';
import { expectBooked } from '../support/booked.ts';
import { runCommand } from '../support/command-line.ts';
import { examplePicture, startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

const image = { base64: examplePicture() };

/** What the server offers, and every stored artefact. */
async function registry(): Promise<unknown> {
  const models = await server.operator.data('{ models { totalCount edges { node { id name version } } } }');
  const artifacts = join(server.dataDir, 'artifacts');
  const files = existsSync(artifacts) ? readdirSync(artifacts, { recursive: true }).sort() : [];
  return { models, files };
}

describe('a manifest that does not fit its file is refused by the command beside a running server', () => {
  const tensor = "tensor 'input' FLOAT [N,3,4,6]";
  it.each<[name: string, folder: ModelFolder, parts: string[]]>([
    [
      'a width that the graph has not',
      { manifest: { input: { width: 7, height: 4 } } },
      ['input.width: found 7; wanted 6', tensor],
    ],
    ['too few labels', { labels: 'ant\nbee\n' }, ['labels: found 2 lines; wanted 4']],
    [
      'a type that pictures have not',
      { graph: { input: { name: 'input', type: 'INT64', shape: ['N', 3, 4, 6] } } },
      ["'input' INT64 [N,3,4,6]; wanted type FLOAT or UINT8"],
    ],
    [
      'a graph that the engine cannot run',
      { graph: { head: 'NoSuchOperator' } },
      ['file: found', 'NoSuchOperator'],
    ],
    ['no graph at all', { file: Buffer.from('not a model') }, ['file: found not an ONNX file']],
    ['another checksum', { manifest: { sha256: 'a'.repeat(64) } }, ['sha256: found aaaa']],
    ['a file outside its folder', { manifest: { file: '../../etc/passwd' } }, ['file']],
    ['a name that is none', { manifest: { name: '../shapes' } }, ['name']],
  ])('%s', async (_name, folder, parts) => {
    const before = await registry();
    const manifest = modelFolder(folder);
    const { exitCode, stdout, stderr } = await runCommand(server, 'models', 'import', manifest);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    for (const part of [manifest, ...parts]) expect(stderr).toContain(part);
    // A message to a person, not a stack.
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await registry()).toEqual(before);
  });
});

it('a refused new version leaves the one that is served, and a right one is served at once', async () => {
  const { client } = await server.createTenant();
  const good = await runCommand(server, 'models', 'import', modelFolder());
  expect(good).toMatchObject({
    exitCode: 0,
    stdout: 'Imported tiny@1 (CLASSIFY, 4 labels). It is served.\n',
  });
  const before = await registry();
  const bad = modelFolder({ manifest: { version: 2 }, labels: 'ant\n' });
  expect(await runCommand(server, 'models', 'import', bad)).toMatchObject({ exitCode: 1 });
  expect(await registry()).toEqual(before);
  const { data } = await client.classify({ model: 'tiny', images: image });
  expect(data!.classify.receipt).toMatchObject({ model: 'tiny', version: 1, units: 1 });
  await expectBooked(server, client, { requests: 1, images: 1, units: 1, errors: 0 });
});
