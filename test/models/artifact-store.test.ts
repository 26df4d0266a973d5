import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../src/models/artifact-store.ts';
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

  it.each(['../../etc/passwd', 'A'.repeat(64), ''])('has no path for %j', (name) => {
    expect(() => new ArtifactStore('/store').path(name)).toThrow('no SHA-256');
  });
});
