import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it, onTestFinished } from 'vitest';
import { receiveBody } from '../../src/uploads/receive-body.ts';

const size = 20_000_000;
const chunkSize = 50_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

it('a file of the greatest size is written as it comes, and what is written is let go', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-upload-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const chunks: WeakRef<Buffer>[] = [];
  let held = 0;
  async function* body(): AsyncGenerator<Buffer> {
    for (let sent = 0; sent < size; sent += chunkSize) {
      const chunk = Buffer.alloc(chunkSize);
      if (sent === 0) chunk.write('\xff\xd8\xff', 'latin1');
      chunks.push(new WeakRef(chunk));
      yield chunk;
    }
    await nextTurn();
    collectGarbage();
    held = chunks.filter((chunk) => chunk.deref() !== undefined).length;
  }
  const path = join(folder, 'file');
  const declared = { contentType: 'image/jpeg', bytes: size, sha256: null };
  await receiveBody(Readable.from(body()), path, declared, { idleMs: 60_000, wholeMs: 60_000 });
  expect(statSync(path).size).toBe(size);
  expect(chunks).toHaveLength(400);
  // The stream itself keeps up to sixteen ahead of whoever reads.
  expect(held).toBeLessThan(20);
});
