import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Uploader, Uploads } from '../../src/uploads/uploads.ts';
import { another, declared, openScene, picture, put, type Scene, serve, sha256Of } from './fixture.ts';

const minute = 60_000;

let scene: Scene;
let uploads: Uploads;
let owner: Uploader;
beforeAll(async () => {
  scene = await openScene();
  uploads = scene.another();
});
afterAll(() => scene.close());
beforeEach(async () => {
  owner = await scene.freshTenant();
});

it('a tenant has a thousand that live at most, and room again once the oldest has expired', async () => {
  const first = await uploads.create(owner, declared);
  scene.clock.advance(minute);
  await uploads.create(owner, declared);
  await scene.database.asTenant(owner.tenantId, async (tx) => {
    const row = await tx.upload.findFirstOrThrow({ orderBy: { expiresAt: 'desc' } });
    await tx.upload.createMany({ data: Array.from({ length: 988 }, () => ({ ...row, id: randomUUID() })) });
  });
  // Of those that ask at once as many are let in as there is room for.
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, () => uploads.create(another(owner), declared)),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
  await expect(uploads.create(another(owner), declared)).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: expect.stringContaining('1000 uploads'),
    extensions: { retryAfterMs: first.expiresAt.getTime() - scene.clock.now() },
  });
  await uploads.create(await scene.freshTenant(), declared);

  scene.clock.advance(14 * minute);
  await uploads.create(another(owner), declared);
  await expect(uploads.create(another(owner), declared)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it('a tenant has two gigabytes that live at most, as declared', async () => {
  const largest = { ...declared, bytes: 20_000_000n };
  for (let n = 0; n < 99; n += 1) await uploads.create(another(owner), largest);
  await uploads.create(another(owner), { ...declared, bytes: 19_999_999n });
  await uploads.create(another(owner), { ...declared, bytes: 1n });
  await expect(uploads.create(another(owner), { ...declared, bytes: 1n })).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: expect.stringContaining('2000000000 bytes'),
  });
}, 60_000);

it('a creator has 32 that wait for their file at most, and leaves room to every other', async () => {
  const browser = another(owner);
  const first = await uploads.create(browser, declared);
  scene.clock.advance(minute);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, () => uploads.create(browser, declared)),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(31);
  await expect(uploads.create(browser, declared)).rejects.toMatchObject({
    code: 'RATE_LIMITED',
    message: expect.stringContaining('at most 32'),
    extensions: { retryAfterMs: 14 * minute },
  });
  for (const other of [owner, another(owner)]) await uploads.create(other, declared);

  expect(await put((await serve(uploads))(first))).toMatchObject({ status: 201 });
  await uploads.create(browser, declared);
  await expect(uploads.create(browser, declared)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  scene.clock.advance(14 * minute);
  await expect(uploads.create(browser, declared)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  scene.clock.advance(minute);
  await uploads.create(browser, declared);
});

it('a file is kept for an hour from when it came, then it is not there', async () => {
  const upload = await uploads.create(owner, declared);
  const urlOf = await serve(uploads);
  scene.clock.advance(14 * minute);
  expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
  scene.clock.advance(60 * minute - 1);
  for (let n = 0; n < 2; n += 1) {
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
  }
  scene.clock.advance(1);
  expect(await uploads.read(owner.tenantId, upload.id)).toBeNull();
});

it("nothing is read under another tenant's name, nor an id that is none", async () => {
  const upload = await uploads.create(owner, declared);
  expect(await uploads.read(owner.tenantId, upload.id)).toBeNull();
  await put((await serve(uploads))(upload));
  const stranger = await scene.freshTenant();
  expect(await uploads.read(stranger.tenantId, upload.id)).toBeNull();
  for (const id of ['', '../../etc/passwd', `${upload.id} `, '0'.repeat(100_000)]) {
    expect(await uploads.read(owner.tenantId, id)).toBeNull();
  }
});

it('a tenant that asks for very many at once keeps nobody else waiting', async () => {
  const order: string[] = [];
  const many = Array.from({ length: 200 }, () =>
    uploads.create(another(owner), declared).then(() => order.push('many')),
  );
  await uploads.create(await scene.freshTenant(), declared);
  order.push('one');
  await Promise.all(many);
  expect(order.indexOf('one')).toBeLessThan(200);
  expect(await scene.rowsOf(owner)).toBe(200);
});

it('a secret is not stored', async () => {
  const { id, secret } = await uploads.create(owner, declared);
  const row = await scene.database.asTenant(owner.tenantId, (tx) => tx.upload.findUnique({ where: { id } }));
  expect(Buffer.from(row!.secretSha256).toString('hex')).toBe(sha256Of(Buffer.from(secret)));
  const { secretSha256: _, ...rest } = row!;
  expect(JSON.stringify(rest)).not.toContain(secret);
});
