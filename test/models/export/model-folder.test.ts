import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { type ExportedVersion, writeVersion } from '../../../src/models/export/model-folder.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fovea-model-folder-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A version of one file of that content. */
function versionOf(content: string): ExportedVersion {
  const path = join(folder(), 'artefact');
  writeFileSync(path, content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const files = { 'model.onnx': { path, sha256 } };
  return { ...{ name: 'net', version: 1, files }, shared: { 'config.pbtxt': 'name: "net"\n' } };
}

it('leaves nothing of a version that cannot be copied, nor changes what is there of others', async () => {
  const repository = folder();
  const whole = versionOf('weights');
  const lost = { path: join(repository, 'nowhere'), sha256: '' };
  const broken = { ...whole, version: 2, files: { ...whole.files, lost } };
  await expect(writeVersion(repository, broken)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(readdirSync(repository)).toEqual([]);
  await writeVersion(repository, whole);
  await expect(writeVersion(repository, broken)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(readdirSync(join(repository, 'net')).sort()).toEqual(['1', 'config.pbtxt']);
});

it('writes a version once where several exports of it meet', async () => {
  const repository = folder();
  const version = versionOf('weights');
  await Promise.all(Array.from({ length: 4 }, () => writeVersion(repository, version)));
  expect(readdirSync(repository, { recursive: true }).sort()).toEqual([
    'net',
    'net/1',
    'net/1/model.onnx',
    'net/config.pbtxt',
  ]);
});

it('refuses what meets the export of something else', async () => {
  const repository = folder();
  const contents = ['one', 'other'];
  const outcomes = await Promise.allSettled(
    contents.map((content) => writeVersion(repository, versionOf(content))),
  );
  const written = outcomes.findIndex(({ status }) => status === 'fulfilled');
  expect(outcomes[1 - written]).toMatchObject({
    reason: { name: 'OperatorError', message: /its model\.onnx is missing or differs/ },
  });
  expect(readFileSync(join(repository, 'net/1/model.onnx'), 'utf8')).toBe(contents[written]);
});
