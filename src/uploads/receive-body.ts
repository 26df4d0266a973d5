import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { sniffFormat } from '../inference/images/sniff.ts';
import type { DeclaredFile } from './declared-file.ts';
import { UploadRefusedError } from './refusal.ts';

export interface BodyTimes {
  /** How long a client may send nothing, milliseconds. */
  readonly idleMs: number;
  /** How long it may take for all of it. */
  readonly wholeMs: number;
}

/** What a format is told by; a shorter file is told by all of it. */
const headBytes = 256;

/**
 * Writes `body` to a new file at `path`, a chunk at a time, until it is on the disk, and answers its SHA-256. Stops at the first
 * byte that cannot be of the declared file. The caller removes what was written where it throws.
 * @throws UploadRefusedError
 */
export async function receiveBody(
  body: Readable,
  path: string,
  declared: DeclaredFile,
  times: BodyTimes,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = await open(path, 'wx', 0o600);
  try {
    const sha256 = await write(body, file, declared, times);
    if (declared.sha256 !== null && Buffer.compare(declared.sha256, sha256) !== 0) {
      throw new UploadRefusedError(
        422,
        `The file's SHA-256 is ${Buffer.from(sha256).toString('hex')}; ${Buffer.from(declared.sha256).toString('hex')} was declared.`,
      );
    }
    await file.sync();
    return sha256;
  } finally {
    await file.close();
  }
}

async function write(body: Readable, file: FileHandle, declared: DeclaredFile, times: BodyTimes) {
  const hash = createHash('sha256');
  let head = Buffer.alloc(0);
  let length = 0;
  for await (const chunk of inTime(body, times)) {
    length += chunk.length;
    if (length > declared.bytes) throw tooLong(declared.bytes);
    if (head.length < headBytes) {
      head = Buffer.concat([head, chunk.subarray(0, headBytes - head.length)]);
      if (head.length === headBytes) requireType(head, declared);
    }
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  if (length < declared.bytes) throw tooShort(length, declared.bytes);
  requireType(head, declared);
  return new Uint8Array(hash.digest());
}

/** The chunks as they come. Whoever stops early may go on reading `body`, to throw the rest away. */
async function* inTime(body: Readable, { idleMs, wholeMs }: BodyTimes): AsyncGenerator<Buffer, void> {
  const deadline = performance.now() + wholeMs;
  const chunks = body.iterator({ destroyOnReturn: false });
  try {
    for (;;) {
      const leftMs = deadline - performance.now();
      const { done, value } = await (leftMs < idleMs
        ? within(leftMs, 'The file did not come in full in time: PUT it again.', chunks)
        : within(idleMs, `Nothing came for ${idleMs / 1000} s: PUT the file again.`, chunks));
      if (done) return;
      yield value;
    }
  } finally {
    // Not awaited: behind a chunk that does not come, it would wait as well.
    chunks.return?.().catch(() => {});
  }
}

/** The next chunk. (A race with one promise of the end of time would keep every chunk until then.) */
function within(
  ms: number,
  refusal: string,
  chunks: AsyncIterator<Buffer>,
): Promise<IteratorResult<Buffer, unknown>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new UploadRefusedError(408, refusal)), ms);
    const next = chunks.next().catch(brokeOff);
    next.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function brokeOff(): never {
  throw new UploadRefusedError(400, 'The body broke off.');
}

function requireType(head: Uint8Array, { contentType }: DeclaredFile): void {
  const format = sniffFormat(head);
  if (`image/${format}` === contentType) return;
  const found = format === null ? 'of no format that is read here' : `image/${format}`;
  throw new UploadRefusedError(415, `The file is ${found}; ${contentType} was declared.`);
}

export function tooLong(declared: number): UploadRefusedError {
  return new UploadRefusedError(413, `The body is longer than the ${declared} bytes that were declared.`);
}

export function tooShort(found: number, declared: number): UploadRefusedError {
  return new UploadRefusedError(400, `The body has ${found} bytes; ${declared} were declared.`);
}
