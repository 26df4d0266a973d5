import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { validate as isUuid, v7 as uuidv7 } from 'uuid';
import type { Database, Transaction } from '../db/database.ts';
import type { Upload } from '../db/generated/client.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { RateLimitedError } from '../lib/errors.ts';
import { KeyedMutex } from '../lib/keyed-mutex.ts';
import type { Logger } from '../lib/logger.ts';
import { type Repeating, repeat } from '../lib/repeating.ts';
import { type Declaration, declaredFile } from './declared-file.ts';
import { type BodyTimes, receiveBody, tooLong, tooShort } from './receive-body.ts';
import { beingReceived, expired, ranOut, UploadRefusedError, usedUp } from './refusal.ts';
import { UploadFiles } from './upload-files.ts';

/** Who makes an upload: an API key, a client token of one, or a member of a tenant. */
export interface Uploader {
  readonly tenantId: string;
  readonly apiKeyId: string | null;
  /** null: it is no client token. */
  readonly tokenId: string | null;
  readonly memberId: string | null;
}

export interface CreatedUpload {
  readonly id: string;
  /** Lets whoever has it PUT the file: shown once, stored nowhere. */
  readonly secret: string;
  readonly expiresAt: Date;
}

/** A PUT as its client describes it; null: it does not say. */
export interface SentHeaders {
  readonly contentType: string | null;
  readonly contentLength: number | null;
  readonly contentEncoding: string | null;
}

export interface ReceivedUpload {
  readonly id: string;
  readonly bytes: number;
  /** In hexadecimal digits. */
  readonly sha256: string;
  readonly expiresAt: Date;
}

export interface UploadsParts {
  readonly database: Database;
  /** Where the files are; all processes that serve the same database must share it. */
  readonly dir: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly times?: BodyTimes;
}

const mostRemembered = 10_000;
const putWithinMs = 15 * 60_000;
const keptMs = 60 * 60_000;
const sweepEveryMs = 60_000;

/** Of a tenant, not yet expired. */
const limits = { uploads: 1_000, bytes: 2_000_000_000 };

/** Of one creator, without their file: so that one browser's token cannot take its tenant's room by mere declarations. */
const maxOpen = 32;

/** Node itself cuts a request off after five minutes, and does not say why. */
const bodyTimes: BodyTimes = { idleMs: 10_000, wholeMs: 240_000 };

/** How long a body that has come in full may take to be on the disk and in its row. */
const storedWithinMs = 60_000;

/**
 * Files that clients bring in two steps: they say what they will send and get a place for it, and whoever has that place's
 * secret PUTs the file there, once. The tenant may then name it where a picture is wanted, until it expires.
 */
export class Uploads {
  readonly #database: Database;
  readonly #files: UploadFiles;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #times: BodyTimes;
  /** A tenant that asks for many at once waits here, and not with as many connections for its lock. */
  readonly #mutex = new KeyedMutex();
  readonly #receiving = new Set<Promise<unknown>>();
  /** Of uploads that were read lately: what was received stays as it is until it expires. */
  readonly #received = new LRUCache<string, { readonly file: string; readonly expiresAt: Date }>({
    max: mostRemembered,
  });
  #sweeping: Repeating | null = null;

  constructor({ database, dir, logger, clock = systemClock, times = bodyTimes }: UploadsParts) {
    this.#database = database;
    this.#files = new UploadFiles(dir);
    this.#logger = logger;
    this.#clock = clock;
    this.#times = times;
  }

  /** Throws BadUserInputError, and RateLimitedError where the tenant has too many that live, or the uploader too many without their file. */
  async create(uploader: Uploader, declaration: Declaration): Promise<CreatedUpload> {
    const { contentType, bytes, sha256 } = declaredFile(declaration);
    const { tenantId, memberId, apiKeyId, tokenId } = uploader;
    const now = this.#clock.now();
    const id = uuidv7();
    const secret = randomBytes(32).toString('base64url');
    const expiresAt = new Date(now + putWithinMs);
    const insert = async (tx: Transaction) => {
      await lockUploadsOf(tx, tenantId);
      await requireFewOpen(tx, uploader, now);
      await requireRoom(tx, bytes, now);
      // Before the row: by its folder the sweep learns of a tenant that has uploads.
      await this.#files.makeFolder(tenantId);
      await tx.upload.create({
        data: {
          id,
          tenantId,
          createdByMember: memberId,
          createdByKey: apiKeyId,
          createdByToken: tokenId,
          contentType,
          bytes,
          sha256,
          secretSha256: hashOf(secret),
          createdAt: new Date(now),
          expiresAt,
        },
      });
    };
    await this.#mutex.run(tenantId, () => this.#database.asTenant(tenantId, insert));
    return { id, secret, expiresAt };
  }

  /** The upload that `secret` opens; null: there is none of that id, or the secret is another's. */
  async present(id: string, secret: string): Promise<Upload | null> {
    if (!isUuid(id) || !/^[\w-]{43}$/.test(secret)) return null;
    const upload = await this.#database.presenting(id, (tx) => tx.upload.findUnique({ where: { id } }));
    return upload !== null && timingSafeEqual(upload.secretSha256, hashOf(secret)) ? upload : null;
  }

  /**
   * Takes in the body of a PUT. Once it answers, the file is on the disk and can be used. Throws UploadRefusedError; then no
   * file is left, and the upload may be sent again until it expires. The same holds after any other failure, at once where
   * the database and the folder answer, else once the claim has run out and the sweep has come by.
   */
  async receive(upload: Upload, headers: SentHeaders, body: Readable): Promise<ReceivedUpload> {
    this.#requireOpen(upload);
    requireAsDeclared(upload, headers);
    const file = await this.#claim(upload);
    const received = this.#receiveAs(file, upload, body);
    this.#receiving.add(received);
    try {
      return await received;
    } finally {
      this.#receiving.delete(received);
    }
  }

  /** The tenant's own file; null: it has no such upload, or that has expired, or its file has not come. */
  async read(tenantId: string, uploadId: string): Promise<Uint8Array | null> {
    if (!isUuid(uploadId)) return null;
    const file = await this.#fileOf(tenantId, uploadId);
    return file === null ? null : this.#files.read(tenantId, file);
  }

  async #fileOf(tenantId: string, uploadId: string): Promise<string | null> {
    const name = `${tenantId} ${uploadId}`;
    const known = this.#received.get(name);
    if (known && known.expiresAt > this.#now()) return known.file;
    const upload = await this.#database.asTenant(tenantId, (tx) =>
      tx.upload.findUnique({
        where: { id: uploadId, receivedAt: { not: null }, expiresAt: { gt: this.#now() } },
      }),
    );
    if (upload === null) return null;
    const file = upload.file!;
    this.#received.set(name, { file, expiresAt: upload.expiresAt });
    return file;
  }

  /** Sweeps, and keeps at it until `close`. */
  async start(): Promise<void> {
    await this.sweep();
    this.#sweeping = repeat('Sweeping uploads', sweepEveryMs, () => this.sweep(), this.#logger);
  }

  /** Resolves when no sweep runs and none will, and every body that was being received has ended. */
  async close(): Promise<void> {
    await this.#sweeping?.stop();
    await Promise.allSettled(this.#receiving);
  }

  /** Clears away what has expired and what nobody owns. A tenant that this fails for is logged, and waits for the next time. */
  async sweep(): Promise<void> {
    for (const tenantId of await this.#files.tenants()) {
      await this.#sweepTenant(tenantId).catch((err) =>
        this.#logger.warn({ err, tenant: tenantId }, "a tenant's uploads could not be swept"),
      );
    }
  }

  /**
   * Rows first, then the files that no row names. A file is made after its row names it and is looked for before its row is, so
   * one that is being received, here or in another process, is always found to be someone's.
   */
  async #sweepTenant(tenantId: string): Promise<void> {
    await this.#database.asTenant(tenantId, async (tx) => {
      await lockUploadsOf(tx, tenantId);
      await tx.upload.deleteMany({ where: { expiresAt: { lte: this.#now() } } });
      await tx.upload.updateMany({
        where: { receivingUntil: { lte: this.#now() } },
        data: { file: null, receivingUntil: null },
      });
      const files = await this.#files.of(tenantId);
      const rows = await tx.upload.findMany({ select: { file: true } });
      const named = new Set(rows.map(({ file }) => file));
      for (const file of files) if (!named.has(file)) await this.#files.remove(tenantId, file);
      if (rows.length === 0) await this.#files.removeFolder(tenantId);
    });
  }

  #requireOpen({ expiresAt, receivedAt }: Upload): void {
    if (receivedAt !== null) throw usedUp();
    if (expiresAt <= this.#now()) throw expired();
  }

  /** Names a file in the row, which from then on nobody else may, and answers its name. */
  async #claim({ id, tenantId }: Upload): Promise<string> {
    const file = randomUUID();
    const now = this.#now();
    const receivingUntil = new Date(now.getTime() + this.#times.wholeMs + storedWithinMs);
    const { claimed, row } = await this.#database.asTenant(tenantId, async (tx) => {
      const free = [{ file: null }, { receivingUntil: { lte: now } }];
      const { count } = await tx.upload.updateMany({
        where: { id, expiresAt: { gt: now }, OR: free },
        data: { file, receivingUntil },
      });
      return { claimed: count > 0, row: await tx.upload.findUnique({ where: { id } }) };
    });
    if (claimed) return file;
    if (row === null) throw expired();
    this.#requireOpen(row);
    throw beingReceived();
  }

  async #receiveAs(file: string, upload: Upload, body: Readable): Promise<ReceivedUpload> {
    try {
      const sha256 = await this.#store(file, upload, body);
      return await this.#finish(upload, file, sha256);
    } catch (error) {
      // What failed may have been done none the less, as a commit that nobody heard of: the row decides.
      const row = await this.#release(upload, file);
      if (row !== undefined && row?.file !== file) await this.#discard(upload, file);
      if (row?.file === file && row.receivedAt !== null) return receivedFrom(row);
      throw error;
    }
  }

  /** Brings the body to the disk and answers its SHA-256, or leaves no file: also where the database cannot be asked. */
  async #store(file: string, upload: Upload, body: Readable): Promise<Uint8Array<ArrayBuffer>> {
    const { tenantId, expiresAt } = upload;
    const wholeMs = Math.min(this.#times.wholeMs, expiresAt.getTime() - this.#clock.now());
    try {
      await this.#files.makeFolder(tenantId);
      const path = this.#files.path(tenantId, file);
      const sha256 = await receiveBody(body, path, upload, { ...this.#times, wholeMs });
      await this.#files.syncFolder(tenantId);
      return sha256;
    } catch (error) {
      await this.#discard(upload, file);
      throw error;
    }
  }

  async #finish(
    { id, tenantId }: Upload,
    file: string,
    receivedSha256: Uint8Array<ArrayBuffer>,
  ): Promise<ReceivedUpload> {
    const receivedAt = this.#now();
    const expiresAt = new Date(receivedAt.getTime() + keptMs);
    const row = await this.#database.asTenant(tenantId, async (tx) => {
      await tx.upload.updateMany({
        where: { id, file, receivedAt: null, expiresAt: { gt: receivedAt } },
        data: { receivedAt, receivedSha256, receivingUntil: null, expiresAt },
      });
      return tx.upload.findUnique({ where: { id } });
    });
    if (row === null) throw expired();
    if (row.file === file && row.receivedAt !== null) return receivedFrom(row);
    this.#requireOpen(row);
    throw row.file === null ? ranOut() : beingReceived();
  }

  /**
   * Gives the claim of `file` up, unless it was received, and answers what the row says then: null where it is gone, undefined
   * where the database does not answer. Then the claim ends by itself, and the sweep clears the file away.
   */
  async #release({ id, tenantId }: Upload, file: string): Promise<Upload | null | undefined> {
    const release = async (tx: Transaction) => {
      await tx.upload.updateMany({
        where: { id, file, receivedAt: null },
        data: { file: null, receivingUntil: null },
      });
      return tx.upload.findUnique({ where: { id } });
    };
    return this.#database.asTenant(tenantId, release).catch((err) => {
      this.#logger.warn({ err, upload: id }, 'an upload could not be opened again');
      return undefined;
    });
  }

  /** Where this fails, the sweep does it: no row names the file, or none will once the claim has ended. */
  async #discard({ id, tenantId }: Upload, file: string): Promise<void> {
    await this.#files
      .remove(tenantId, file)
      .catch((err) => this.#logger.warn({ err, upload: id, file }, "an upload's file could not be removed"));
  }

  #now(): Date {
    return new Date(this.#clock.now());
  }
}

/** One at a time may count a tenant's uploads to add one, or take its folder away. Held to the end of the transaction. */
async function lockUploadsOf(tx: Transaction, tenantId: string): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`uploads of ${tenantId}`}, 0))`;
}

async function requireFewOpen(
  tx: Transaction,
  { memberId, apiKeyId, tokenId }: Uploader,
  now: number,
): Promise<void> {
  const open = await tx.upload.aggregate({
    where: {
      createdByMember: memberId,
      createdByKey: apiKeyId,
      createdByToken: tokenId,
      receivedAt: null,
      expiresAt: { gt: new Date(now) },
    },
    _count: true,
    _min: { expiresAt: true },
  });
  if (open._count < maxOpen) return;
  throw new RateLimitedError(
    `You have ${open._count} uploads whose file has not come; at most ${maxOpen} may wait for theirs. PUT them, or wait for the ` +
      'oldest to expire.',
    { retryAfterMs: Math.max(1, (open._min.expiresAt?.getTime() ?? now) - now) },
  );
}

async function requireRoom(tx: Transaction, bytes: number, now: number): Promise<void> {
  const live = await tx.upload.aggregate({
    where: { expiresAt: { gt: new Date(now) } },
    _count: true,
    _sum: { bytes: true },
    _min: { expiresAt: true },
  });
  const held = live._sum.bytes ?? 0;
  if (live._count < limits.uploads && held + bytes <= limits.bytes) return;
  const oldest = live._min.expiresAt?.getTime() ?? now;
  throw new RateLimitedError(
    `You have ${live._count} uploads of ${held} bytes that have not expired; at most ${limits.uploads} of ` +
      `${limits.bytes} bytes are kept. Wait for the oldest to expire.`,
    { retryAfterMs: Math.max(1, oldest - now) },
  );
}

/** Refuses, before a byte is read, what its own headers say cannot be the file. */
function requireAsDeclared(
  declared: Upload,
  { contentType, contentLength, contentEncoding }: SentHeaders,
): void {
  const type = contentType?.replace(/;.*$/s, '').trim().toLowerCase() ?? null;
  if (type !== null && type !== declared.contentType) {
    throw new UploadRefusedError(
      415,
      `The content-type is ${JSON.stringify(type.slice(0, 100))}; ${declared.contentType} was declared.`,
    );
  }
  if (contentEncoding !== null && contentEncoding.toLowerCase() !== 'identity') {
    throw new UploadRefusedError(415, 'The body has a content-encoding: send the file as it is.');
  }
  if (contentLength === null) return;
  if (contentLength > declared.bytes) throw tooLong(declared.bytes);
  if (contentLength < declared.bytes) throw tooShort(contentLength, declared.bytes);
}

function hashOf(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(secret).digest());
}

/** Of a row that was received. */
function receivedFrom({ id, bytes, receivedSha256, expiresAt }: Upload): ReceivedUpload {
  return { id, bytes, sha256: Buffer.from(receivedSha256!).toString('hex'), expiresAt };
}
