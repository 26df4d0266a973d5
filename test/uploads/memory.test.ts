import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openScene, type Scene, serve, slowPut } from './fixture.ts';

const size = 20_000_000;
const files = 3;

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** As many bytes as an upload may have, none of which is there before it is asked for. */
function* largest(): Generator<Buffer> {
  for (let sent = 0; sent < size; sent += 50_000) {
    const part = Buffer.alloc(50_000);
    if (sent === 0) part.write('\xff\xd8\xff', 'latin1');
    yield part;
  }
}

/** Bytes in buffers that something still holds. */
function held(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

it('files of the greatest size are written as they come, and never held whole', async () => {
  const uploads = scene.another();
  const owner = await scene.freshTenant();
  const urlOf = await serve(uploads);
  const declared = { contentType: 'image/jpeg', bytes: BigInt(size), sha256: null };
  const places = [];
  for (let n = 0; n < files; n += 1) places.push(await uploads.create(owner, declared));

  const before = held();
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, held() - before);
  }, 100);
  const answers = await Promise.all(
    places.map(async (place) => {
      // `fetch` holds all that it sends; this does not.
      const { request, send, answer } = slowPut(urlOf(place));
      for (const part of largest()) await send(part);
      request.end();
      return answer;
    }),
  );
  clearInterval(watch);
  expect(answers.map(({ status }) => status)).toEqual(Array(files).fill(201));
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(size);
}, 60_000);
