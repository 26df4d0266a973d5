import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import type { CreatedUpload, Uploader, Uploads } from '../../src/uploads/uploads.ts';
import { declared, openScene, picture, put, type Scene, serve, sha256Of, slowPut } from './fixture.ts';

const minute = 60_000;
const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(400)]);

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

const create = (declaration: Partial<typeof declared> | { sha256: string } = {}) =>
  uploads.create(owner, { ...declared, ...declaration });
const filesNow = () => scene.filesOf(owner);
const untilFiles = (count: number) => vi.waitUntil(() => filesNow().length === count, { timeout: 10_000 });

/** Sees that a PUT is refused and leaves nothing, and that the right one is still taken. */
async function expectRefused(
  upload: CreatedUpload,
  work: Promise<{ status: number; body: { error?: string } }>,
  status: number,
  error: RegExp,
): Promise<void> {
  const answer = await work;
  expect(answer).toEqual({ status, body: { error: expect.stringMatching(error) } });
  expect(filesNow()).toEqual([]);
  expect(await uploads.read(owner.tenantId, upload.id)).toBeNull();
  expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
}

/** A body in chunks, whose length nobody says beforehand. */
const inChunks = (bytes: Uint8Array, size = 1_000) =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size));
      controller.close();
    },
  });

describe('a file that is as declared', () => {
  it('is stored, and can be used once that is answered', async () => {
    const upload = await create({ sha256: sha256Of(picture).toUpperCase() });
    const { status, body } = await put(urlOf(upload), picture, { 'content-type': 'image/jpeg' });
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        id: upload.id,
        bytes: picture.byteLength,
        sha256: sha256Of(picture),
        expiresAt: new Date(scene.clock.now() + 60 * minute).toISOString(),
      },
    });
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
    const [file] = filesNow();
    expect(readFileSync(join(scene.dir, owner.tenantId, file!))).toEqual(picture);
  });

  it('may come in chunks, and with no content-type', async () => {
    const upload = await create();
    expect(await put(urlOf(upload), inChunks(picture))).toMatchObject({ status: 201 });
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
  });

  it('may come a byte at a time, as long as it comes', async () => {
    const upload = await uploads.create(owner, { ...declared, contentType: 'image/png', bytes: 20n });
    const patient = await serve(scene.another({ times: { idleMs: 1_500, wholeMs: 60_000 } }));
    const { request, send, answer } = slowPut(patient(upload));
    for (const byte of png.subarray(0, 20)) {
      await send(Buffer.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    request.end();
    expect(await answer).toMatchObject({ status: 201 });
  });
});

describe('a file that is not as declared is refused, leaves no file, and may be sent again', () => {
  it('longer, by its content-length, before a byte is read', async () => {
    const upload = await create();
    const { request, answer } = slowPut(urlOf(upload), { 'content-length': picture.byteLength + 1 });
    await expectRefused(upload, answer, 413, /longer than the \d+ bytes/);
    request.destroy();
  });

  it('longer, in chunks without an end', async () => {
    const upload = await create();
    const { request, send, answer } = slowPut(urlOf(upload));
    await send(picture);
    await send(Buffer.of(0));
    await expectRefused(upload, answer, 413, /longer than the \d+ bytes/);
    // It is read on for a while, so that the answer arrives, and then cut off.
    const closed = new Promise((resolve) => request.once('close', resolve));
    const more = setInterval(() => request.write(Buffer.alloc(1_000_000)), 1);
    await closed;
    clearInterval(more);
    expect(filesNow()).toHaveLength(1);
  });

  it('shorter, by its content-length and in chunks', async () => {
    const upload = await create();
    const short = picture.subarray(0, -1);
    await expectRefused(upload, put(urlOf(upload), short), 400, /has \d+ bytes; \d+ were declared/);
    const another = await create();
    expect(await put(urlOf(another), inChunks(short))).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/were declared/) },
    });
    expect(filesNow()).toHaveLength(1);
  });

  it('empty', async () => {
    const upload = await create();
    await expectRefused(upload, put(urlOf(upload), Buffer.alloc(0)), 400, /has 0 bytes/);
  });

  it('of another hash', async () => {
    const upload = await create({ sha256: sha256Of(picture) });
    const other = Buffer.from(picture);
    other[other.length - 1]! ^= 1;
    await expectRefused(upload, put(urlOf(upload), other), 422, /SHA-256 is [0-9a-f]{64}/);
  });

  it('of another type than its first bytes tell', async () => {
    for (const [bytes, found] of [
      [Buffer.alloc(picture.byteLength, 'GIF89a'), /image\/gif; image\/jpeg was declared/],
      [Buffer.alloc(picture.byteLength, '<svg>'), /no format that is read here/],
      [Buffer.concat([png, Buffer.alloc(picture.byteLength - png.byteLength)]), /image\/png/],
    ] as const) {
      const upload = await create();
      expect(await put(urlOf(upload), bytes)).toEqual({
        status: 415,
        body: { error: expect.stringMatching(found) },
      });
      expect(filesNow()).toEqual([]);
    }
    const small = await create({ bytes: 3n });
    expect(await put(urlOf(small), Buffer.from('GIF'))).toMatchObject({ status: 415 });
    expect(filesNow()).toEqual([]);
  });

  it('of another content-type, or encoded', async () => {
    const upload = await create();
    const typed = put(urlOf(upload), picture, { 'content-type': 'image/png' });
    await expectRefused(upload, typed, 415, /"image\/png"; image\/jpeg/);
    const encoded = put(urlOf(await create()), picture, { 'content-encoding': 'gzip' });
    expect(await encoded).toMatchObject({
      status: 415,
      body: { error: expect.stringMatching(/content-encoding/) },
    });
  });

  it('with a length that lies: what is beyond it is no part of it', async () => {
    const upload = await create();
    const { hostname, port, pathname, search } = new URL(urlOf(upload));
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    await once(socket, 'connect');
    const head = `PUT ${pathname}${search} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\n`;
    socket.write(`${head}content-length: ${picture.byteLength}\r\n\r\n`);
    socket.write(Buffer.concat([picture, Buffer.from('and more')]));
    socket.resume();
    await new Promise((resolve) => socket.once('close', resolve));
    // The rest is no request, so Node refuses it, before or after the file is stored.
    await vi.waitUntil(
      async () => {
        const { status, body } = await put(urlOf(upload));
        return status === 201 || /already/.test(body.error ?? '');
      },
      { timeout: 10_000 },
    );
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
    expect(filesNow()).toHaveLength(1);
  });
});

describe('a client that does not finish', () => {
  const impatient = () => serve(scene.another({ times: { idleMs: 300, wholeMs: 60_000 } }));

  it('leaves no file where it hangs up, and may begin again', async () => {
    const upload = await create();
    const { request, send } = slowPut(urlOf(upload), { 'content-length': picture.byteLength });
    await send(picture.subarray(0, 1_000));
    await untilFiles(1);
    request.destroy();
    await untilFiles(0);
    await vi.waitUntil(async () => (await put(urlOf(upload))).status === 201, { timeout: 10_000 });
  });

  it('is cut off where it stalls', async () => {
    const upload = await create();
    const { request, send, answer } = slowPut((await impatient())(upload), {
      'content-length': picture.byteLength,
    });
    const closed = once(request, 'close');
    await send(picture.subarray(0, 1_000));
    await expectRefused(upload, answer, 408, /Nothing came for 0\.3 s/);
    await closed;
  });

  it('is cut off where it sends nothing at all', async () => {
    const upload = await create();
    await expectRefused(upload, slowPut((await impatient())(upload)).answer, 408, /Nothing came/);
  });

  it('is cut off where it drips past the time for the whole', async () => {
    const hurried = scene.another({ times: { idleMs: 5_000, wholeMs: 300 } });
    const upload = await create();
    const { send, answer } = slowPut((await serve(hurried))(upload));
    const drip = setInterval(() => send(picture.subarray(0, 1)), 20);
    await expectRefused(upload, answer, 408, /did not come in full in time/);
    clearInterval(drip);
  });

  it('is waited for by whoever closes', async () => {
    const upload = await create();
    const { request, send, answer } = slowPut(urlOf(upload), { 'content-length': picture.byteLength });
    await send(picture.subarray(0, 1_000));
    await untilFiles(1);
    const closing = uploads.close();
    request.end(picture.subarray(1_000));
    await closing;
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
    expect(await answer).toMatchObject({ status: 201 });
  });
});

describe('a place takes one file', () => {
  it('and no second', async () => {
    const upload = await create();
    await put(urlOf(upload));
    const [file] = filesNow();
    expect(await put(urlOf(upload))).toEqual({
      status: 409,
      body: { error: expect.stringMatching(/already/) },
    });
    expect(filesNow()).toEqual([file]);
  });

  it('of many at once, by several processes', async () => {
    const upload = await create();
    const urls = [urlOf, await serve(scene.another())].map((of) => of(upload));
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => put(urls[n % 2]!)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, ...Array(11).fill(409)]);
    expect(filesNow()).toHaveLength(1);
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
  });

  it('and while one comes, no other', async () => {
    const upload = await create();
    const { request, send, answer } = slowPut(urlOf(upload), { 'content-length': picture.byteLength });
    await send(picture.subarray(0, 1_000));
    await untilFiles(1);
    expect(await put(urlOf(upload))).toMatchObject({
      status: 409,
      body: { error: expect.stringMatching(/being received/) },
    });
    expect(filesNow()).toHaveLength(1);
    request.end(picture.subarray(1_000));
    expect(await answer).toMatchObject({ status: 201 });
  });
});

describe('a PUT whose claim has run out before its file has come', () => {
  const begin = async () => {
    const upload = await create();
    const { request, send, answer } = slowPut(urlOf(upload), { 'content-length': picture.byteLength });
    await send(picture.subarray(0, 1_000));
    await untilFiles(1);
    scene.clock.advance(6 * minute);
    return { upload, answer, finish: () => request.end(picture.subarray(1_000)) };
  };

  it('is told to send it again', async () => {
    const { upload, answer, finish } = await begin();
    await uploads.sweep();
    finish();
    await expectRefused(upload, answer, 408, /not stored in time/);
  });

  it('does no harm to the one that came meanwhile', async () => {
    const { upload, answer, finish } = await begin();
    expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
    finish();
    expect(await answer).toMatchObject({ status: 409, body: { error: expect.stringMatching(/already/) } });
    expect(filesNow()).toHaveLength(1);
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
  });
});

describe('where the database fails as the file is entered', () => {
  /** The second transaction of a PUT, after its claim, breaks as `how` says. */
  const breaking = (how: 'before' | 'after') => {
    let transactions = 0;
    const asTenant: Database['asTenant'] = async (tenantId, work) => {
      transactions += 1;
      if (transactions !== 2) return scene.database.asTenant(tenantId, work);
      if (how === 'after') await scene.database.asTenant(tenantId, work);
      throw new Error('connection lost');
    };
    return serve(scene.another({ database: { ...scene.database, asTenant } }));
  };

  it('and had stored it, the PUT is answered as it went', async () => {
    const upload = await create();
    expect(await put((await breaking('after'))(upload))).toMatchObject({
      status: 201,
      body: { id: upload.id, sha256: sha256Of(picture) },
    });
    expect(Buffer.from((await uploads.read(owner.tenantId, upload.id))!)).toEqual(picture);
  });

  it('and had not, no file is left and it may be sent again', async () => {
    const upload = await create();
    const answer = put((await breaking('before'))(upload));
    await expectRefused(upload, answer, 500, /./);
  });
});

it('a tenant whose folder is gone gets it back', async () => {
  const upload = await create();
  rmSync(join(scene.dir, owner.tenantId), { recursive: true });
  expect(await put(urlOf(upload))).toMatchObject({ status: 201 });
});

describe('too late', () => {
  it('is 410 while it is known, then 404', async () => {
    const upload = await create();
    scene.clock.advance(15 * minute);
    expect(await put(urlOf(upload))).toMatchObject({
      status: 410,
      body: { error: expect.stringMatching(/expired/) },
    });
    expect(filesNow()).toEqual([]);
    await uploads.sweep();
    expect(await put(urlOf(upload))).toMatchObject({ status: 404 });
  });

  it('is a file that comes to its end after the place has expired', async () => {
    const upload = await create();
    const { request, send, answer } = slowPut(urlOf(upload), { 'content-length': picture.byteLength });
    await send(picture.subarray(0, 1_000));
    await untilFiles(1);
    scene.clock.advance(15 * minute);
    request.end(picture.subarray(1_000));
    expect(await answer).toMatchObject({ status: 410 });
    expect(filesNow()).toEqual([]);
  });
});

describe('without its secret an upload is unknown', () => {
  it('whatever is presented, in the same words', async () => {
    const upload = await create();
    const url = new URL(urlOf(upload));
    const other = await create();
    const at = (id: string, secret: string) => `${url.origin}/uploads/${id}${secret}`;
    const answers = await Promise.all(
      [
        at(upload.id, ''),
        at(upload.id, '?secret='),
        at(upload.id, `?secret=${other.secret}`),
        at(upload.id, `?secret=${upload.secret}&secret=${upload.secret}`),
        at(upload.id, `?secret=${upload.secret.slice(1)}`),
        at(other.id, `?secret=${upload.secret}`),
        at('01890000-0000-7000-8000-000000000001', `?secret=${upload.secret}`),
        at('..%2F..%2Fetc', `?secret=${upload.secret}`),
      ].map((to) => put(to)),
    );
    for (const answer of answers) expect(answer).toEqual({ status: 404, body: answers[0]!.body });
    expect(filesNow()).toEqual([]);
  });

  it('and a network that tries many is told to wait', async () => {
    const { origin } = new URL(urlOf(await create()));
    const tries = Array.from({ length: 100 }, () => put(`${origin}/uploads/none?secret=none`));
    const statuses = new Set((await Promise.all(tries)).map(({ status }) => status));
    expect(statuses).toEqual(new Set([404, 429]));
  });
});
