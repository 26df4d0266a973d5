import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import type { Logger } from '../../lib/logger.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import type { OipClient } from '../oip/client.ts';
import { OipError } from '../oip/errors.ts';
import type { Patience } from './patience.ts';

/** So often the log tells how far it has come. */
const TOLD_EVERY_MS = 5_000;
const PIECE_BYTES = 2 ** 18;

/**
 * Brings an artefact to a worker, which checks that it hashes to its name. It may take any time, as long as it goes on.
 * Throws OipError 404 where it is not here either, and what the worker refuses it with.
 */
export async function pushArtifact(
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
