import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../lib/logger.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import type { OipClient } from '../oip/client.ts';
import { BusyError, OipError } from '../oip/errors.ts';
import type { Patience } from './patience.ts';

/** So often the log tells how far it has come. */
const TOLD_EVERY_MS = 5_000;
const PIECE_BYTES = 2 ** 18;
/** Between two tries, where the worker does not say. */
const AGAIN_MS = 1_000;

/**
 * Brings an artefact to a worker, which checks that it hashes to its name. It may take any time, as long as it goes on, or the
 * worker is brought as many others as it takes and says so. Throws OipError 404 where it is not here either, and what the worker
 * refuses it with.
 */
export async function pushArtifact(
  client: OipClient,
  artifacts: ArtifactStore,
  sha256: string,
  options: { patience: Patience; logger: Logger },
): Promise<void> {
  const { patience, logger } = options;
  for (let tries = 0; ; tries += 1) {
    try {
      return await pushOnce(client, artifacts, sha256, options);
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      if (tries === 0)
        logger.info({ sha256, reason: error.message }, 'an artefact waits to be brought to a worker');
      patience.renew();
      const { signal } = patience;
      await sleep(error.retryAfterMs ?? AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

async function pushOnce(
  client: OipClient,
  artifacts: ArtifactStore,
  sha256: string,
  { patience, logger }: { patience: Patience; logger: Logger },
): Promise<void> {
  const path = artifacts.path(sha256);
  const bytes = await stat(path).then(
    ({ size }) => size,
    (error: Error) => {
      throw new OipError(
        404,
        `artefact ${sha256}: the worker lacks it, and here it cannot be read: ${error.message}`,
      );
    },
  );
  const start = performance.now();
  let sent = 0;
  let toldAt = start;
  const watched = new Transform({
    transform(piece: Buffer, _, done) {
      sent += piece.byteLength;
      patience.renew();
      const now = performance.now();
      if (now - toldAt > TOLD_EVERY_MS) {
        toldAt = now;
        logger.info({ sha256, sent, bytes }, 'bringing an artefact to a worker');
      }
      done(null, piece);
    },
  });
  const file = createReadStream(path, { highWaterMark: PIECE_BYTES });
  file.once('error', (error) => watched.destroy(error));
  watched.once('close', () => file.destroy());
  await client.putArtifact(sha256, file.pipe(watched), bytes, patience.signal);
  const ms = Math.round(performance.now() - start);
  logger.info({ sha256, bytes, ms }, 'an artefact was brought to a worker');
}
