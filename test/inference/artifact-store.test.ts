import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../src/inference/artifact-store.ts';
import { artifactFolder } from '../support/artifact-folder.ts';

describe('the artefact store', () => {
  it('keeps bytes under their SHA-256 and nothing beside them', async () => {
    const { dir } = artifactFolder();
    const store = new ArtifactStore(dir);
    const bytes = Buffer.from('a graph');
    const sha256 = await store.put(bytes);
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(readFileSync(`${dir}/sha256/${sha256.slice(0, 2)}/${sha256}`)).toEqual(bytes);
    expect(readdirSync(`${dir}/sha256/${sha256.slice(0, 2)}`)).toEqual([sha256]);
  });

  it('takes the same bytes from many at once', async () => {
    const { dir } = artifactFolder();
    const store = new ArtifactStore(dir);
    const hashes = await Promise.all(Array.from({ length: 20 }, () => store.put(Buffer.alloc(10_000, 7))));
    expect(new Set(hashes).size).toBe(1);
    expect(readFileSync(store.path(hashes[0]!)).length).toBe(10_000);
    expect(readdirSync(`${dir}/sha256/${hashes[0]!.slice(0, 2)}`)).toHaveLength(1);
  });

  it.each([
    ['was cut short', 'wh'],
    ['holds other bytes', 'whale'],
  ])('does not have a file that %s, and writes it again', async (_, content) => {
    const store = new ArtifactStore(artifactFolder().dir);
    const sha256 = await store.put(Buffer.from('whole'));
    expect(await store.has(sha256)).toBe(true);
    writeFileSync(store.path(sha256), content);
    expect(await store.has(sha256)).toBe(false);
    await store.put(Buffer.from('whole'));
    expect(readFileSync(store.path(sha256), 'utf8')).toBe('whole');
  });

  it('copies a file in under its SHA-256, and leaves nothing of one that is another than was said', async () => {
    const { put, path } = artifactFolder();
    const sha256 = put(Buffer.alloc(3_000_000, 7));
    const store = new ArtifactStore(artifactFolder().dir);
    await store.putFile(path(sha256), sha256);
    expect(readFileSync(store.path(sha256))).toEqual(readFileSync(path(sha256)));
    const other = put(Buffer.alloc(3_000_000, 8));
    writeFileSync(path(other), 'changed meanwhile');
    await expect(store.putFile(path(other), other)).rejects.toThrow(`not to ${other}`);
    const stored = readdirSync(store.dir, { recursive: true, withFileTypes: true });
    expect(stored.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual([sha256]);
  });

  it('says where a file to be copied in is missing, and leaves nothing', async () => {
    const store = new ArtifactStore(artifactFolder().dir);
    await expect(store.putFile(`${store.dir}/none`, 'a'.repeat(64))).rejects.toThrow('ENOENT');
    const stored = readdirSync(store.dir, { recursive: true, withFileTypes: true });
    expect(stored.filter((entry) => entry.isFile())).toEqual([]);
  });

  it('takes over what another store beside it has, and mends what it has itself', async () => {
    const store = new ArtifactStore(artifactFolder().dir);
    const other = await store.beside('other-');
    const sha256 = await other.put(Buffer.from('whole'));
    await store.take(other, sha256);
    expect(readFileSync(store.path(sha256), 'utf8')).toBe('whole');
    writeFileSync(store.path(sha256), 'whale');
    await other.put(Buffer.from('whole'));
    await store.take(other, sha256);
    expect(readFileSync(store.path(sha256), 'utf8')).toBe('whole');
    expect(await other.has(sha256)).toBe(false);
  });

  it('clears what a crash left an hour ago, and nothing that may be under way or is no file of its own', async () => {
    const store = new ArtifactStore(artifactFolder().dir);
    const sha256 = await store.put(Buffer.from('whole'));
    const path = store.path(sha256);
    const left = [`${path}.${randomUUID()}`, `${path}.${randomUUID()}`, `${path}.kept`];
    for (const each of left) writeFileSync(each, 'half');
    const long = Date.now() / 1000 - 3_700;
    for (const each of [path, left[0]!, left[2]!]) utimesSync(each, long, long);
    await store.clearStale();
    const expected = [path, left[1]!, left[2]!].map((each) => basename(each));
    expect(readdirSync(dirname(path)).sort()).toEqual(expected.sort());
  });

  it('has nothing to clear where it is not there yet', async () => {
    await new ArtifactStore(`${artifactFolder().dir}/missing`).clearStale();
  });

  it.each(['../../etc/passwd', 'A'.repeat(64), ''])('has no path for %j', (name) => {
    expect(() => new ArtifactStore('/store').path(name)).toThrow('no SHA-256');
  });
});
