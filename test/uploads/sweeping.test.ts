import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { CreatedUpload, Uploader, Uploads } from '../../src/uploads/uploads.ts';
import { declared, openScene, picture, put, type Scene, serve, slowPut } from './fixture.ts';

const minute = 60_000;

let scene: Scene;
let uploads: Uploads;
let owner: Uploader;
let urlOf: (upload: CreatedUpload) => string;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());
beforeEach(async () => {
  uploads = scene.another();
  owner = await scene.freshTenant();
  urlOf = await serve(uploads);
});

const create = () => uploads.create(owner, declared);
const filesNow = () => scene.filesOf(owner);
const folderOf = ({ tenantId }: Uploader) => join(scene.dir, tenantId);

async function received(): Promise<CreatedUpload> {
  const upload = await create();
  expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
  return upload;
}

it('what has expired goes, row, file and folder, and what has not stays', async () => {
  const early = await received();
  await create();
  scene.clock.advance(15 * minute);
  const late = await received();
  await uploads.sweep();
  expect(await scene.rowsOf(owner)).toBe(2);
  expect(filesNow()).toHaveLength(2);

  scene.clock.advance(45 * minute);
  await uploads.sweep();
  expect(await scene.rowsOf(owner)).toBe(1);
  expect(filesNow()).toHaveLength(1);
  expect(await uploads.read(owner.tenantId, early.id)).toBeNull();
  expect(await uploads.read(owner.tenantId, late.id)).not.toBeNull();

  scene.clock.advance(15 * minute);
  await uploads.sweep();
  expect(await scene.rowsOf(owner)).toBe(0);
  expect(existsSync(folderOf(owner))).toBe(false);
  expect(await uploads.read(owner.tenantId, late.id)).toBeNull();
  await received();
});

it('a file that no row names goes, also where its tenant has no rows at all', async () => {
  const kept = await received();
  const nobody = { ...owner, tenantId: randomUUID() };
  mkdirSync(folderOf(nobody));
  for (const whose of [owner, nobody]) writeFileSync(join(folderOf(whose), randomUUID()), picture);
  writeFileSync(join(scene.dir, 'README'), 'not ours');
  await uploads.sweep();
  expect(filesNow()).toHaveLength(1);
  expect(existsSync(folderOf(nobody))).toBe(false);
  expect(existsSync(join(scene.dir, 'README'))).toBe(true);
  expect(await uploads.read(owner.tenantId, kept.id)).not.toBeNull();
});

it('what a process died over goes once its time is over, and the place takes another PUT', async () => {
  const upload = await create();
  const file = randomUUID();
  // As a PUT leaves it that is never heard of again.
  await scene.database.asTenant(owner.tenantId, (tx) =>
    tx.upload.update({
      where: { id: upload.id },
      data: { file, receivingUntil: new Date(scene.clock.now() + 5 * minute) },
    }),
  );
  writeFileSync(join(folderOf(owner), file), picture.subarray(0, 100));
  await uploads.sweep();
  expect(filesNow()).toEqual([file]);
  expect(await put(urlOf(upload))).toMatchObject({ status: 409 });

  scene.clock.advance(5 * minute);
  await uploads.sweep();
  expect(filesNow()).toEqual([]);
  expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
});

it('and the place takes it also where nobody has swept since', async () => {
  const upload = await create();
  const file = randomUUID();
  await scene.database.asTenant(owner.tenantId, (tx) =>
    tx.upload.update({
      where: { id: upload.id },
      data: { file, receivingUntil: new Date(scene.clock.now()) },
    }),
  );
  writeFileSync(join(folderOf(owner), file), picture.subarray(0, 100));
  expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
  await uploads.sweep();
  expect(filesNow()).toHaveLength(1);
  expect(filesNow()).not.toContain(file);
});

it('a file that is being received stays, whoever sweeps', async () => {
  const upload = await create();
  const { request, send, answer } = slowPut(urlOf(upload), { 'content-length': picture.byteLength });
  await send(picture.subarray(0, 1_000));
  await vi.waitUntil(() => filesNow().length === 1, { timeout: 10_000 });
  const [file] = filesNow();
  await Promise.all([uploads.sweep(), scene.another().sweep()]);
  expect(filesNow()).toEqual([file]);
  request.end(picture.subarray(1_000));
  expect(await answer).toMatchObject({ status: 201 });
  await scene.another().sweep();
  expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
});

it('several processes sweep one folder while others fill it, and nothing is lost', async () => {
  const sweepers = [scene.another(), scene.another(), uploads];
  let isFilling = true;
  const sweeping = sweepers.map(async (sweeper) => {
    while (isFilling) await sweeper.sweep();
  });
  const ids: string[] = [];
  for (let n = 0; n < 20; n += 1) ids.push((await received()).id);
  isFilling = false;
  await Promise.all(sweeping);
  for (const id of ids) expect(await uploads.read(owner.tenantId, id)).not.toBeNull();
  expect(filesNow()).toHaveLength(20);
});

it('a start sweeps at once', async () => {
  await received();
  scene.clock.advance(60 * minute);
  const next = scene.another();
  await next.start();
  expect(existsSync(folderOf(owner))).toBe(false);
  await next.close();
});
