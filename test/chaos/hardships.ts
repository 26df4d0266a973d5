import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { Random } from '../../models/shapes/generator/random.ts';
import { sharp } from '../../src/inference/images/libvips.ts';
import type { GraphqlClient } from '../support/graphql-client.ts';
import type { LossyProxy } from '../support/lossy-proxy.ts';
import type { SpoiltWorker } from '../support/spoilt-worker.ts';
import { upload } from '../support/uploaded.ts';
import { type Picture, readablePictures } from './wishes.ts';

/** Takes back what was opened or begun. */
type Clean = () => void | Promise<void>;

const examples = resolve(import.meta.dirname, '../../models/shapes/examples');

/** A host on this machine that has one picture. */
export async function openPictureHost(): Promise<{ readonly pictureUrl: string; close: Clean }> {
  const picture = readFileSync(join(examples, 'purple-cross.jpg'));
  const server = createServer(({ url }, response) => {
    if (url === '/picture.jpg') response.end(picture);
    else response.writeHead(404).end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { pictureUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/picture.jpg`, close };
}

/** In the request, uploaded by `client`, and at a URL; small and transparent ones; missing and spoilt ones. */
export async function allSortsOfPictures(
  client: GraphqlClient,
  pictureUrl: string,
): Promise<readonly Picture[]> {
  const clear = {
    width: 20,
    height: 16,
    channels: 4 as const,
    background: { r: 200, g: 30, b: 30, alpha: 0.5 },
  };
  const small = await sharp({ create: clear }).png().toBuffer();
  return [
    ...readablePictures,
    { source: { uploadId: await upload(client) }, code: null },
    { source: { url: pictureUrl }, code: null },
    { source: { base64: small.toString('base64') }, code: null },
    { source: { url: new URL('/missing', pictureUrl).href }, code: 'FETCH_FAILED' },
    { source: { base64: small.subarray(0, 60).toString('base64') }, code: 'CORRUPT_IMAGE' },
  ];
}

/** A client token that may spend so many units. It is good for an hour, the longest there is. */
export async function mintToken(client: GraphqlClient, maxUnits: number): Promise<string> {
  const { createClientToken } = await client.data<{ createClientToken: { token: string } }>(
    'mutation($input: CreateClientTokenInput!) { createClientToken(input: $input) { token } }',
    { input: { maxUnits, ttlSeconds: 3_600 } },
  );
  return createClientToken.token;
}

/** From now on the database refuses one row in fifty that a reservation or a commit brings, and with it their whole statement. */
export async function refuseRowsNowAndThen(database: pg.Pool): Promise<void> {
  await database.query(`
    CREATE FUNCTION refuse_now_and_then() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF random() < 0.02 THEN RAISE EXCEPTION 'chance has it' USING ERRCODE = 'data_exception'; END IF;
        RETURN NEW;
      END $$;
    CREATE TRIGGER refuse_now_and_then BEFORE INSERT ON quota_hold FOR EACH ROW EXECUTE FUNCTION refuse_now_and_then();
    CREATE TRIGGER refuse_now_and_then BEFORE INSERT ON usage_event FOR EACH ROW EXECUTE FUNCTION refuse_now_and_then()`);
}

/** Has `worker` answer nonsense for a tenth of a second now and then, until it is told to stop. */
export function makeMoody(worker: SpoiltWorker, random: Random): Clean {
  const timer = setInterval(() => {
    worker.mischief = random.chance(0.2) ? 'no numbers' : null;
  }, 100);
  return () => {
    clearInterval(timer);
    worker.mischief = null;
  };
}

/** Loses the answer to a commit, with its connection, twice a second until it is told to stop. */
export function loseAnswersToCommits(network: LossyProxy): Clean {
  // By the name of the statement, which stands in every message that has it executed.
  const timer = setInterval(() => network.swallowAnswerTo('\0commit\0'), 500);
  return () => {
    clearInterval(timer);
    network.swallowAnswerTo(null);
  };
}

/** Looks at the health and the metrics of one server after the other, until it is told to stop. */
export function watchAll(urls: readonly string[]): Clean {
  const over = new AbortController();
  const look = async (url: string) => {
    const signal = AbortSignal.any([over.signal, AbortSignal.timeout(1_000)]);
    await (await fetch(url, { signal })).text();
  };
  const watching = (async () => {
    for (let n = 0; !over.signal.aborted; n++) {
      const url = urls[n % urls.length]!;
      // It may be dying, or not up yet.
      await Promise.allSettled([look(`${url}/health/ready`), look(`${url}/metrics`)]);
      await delay(100);
    }
  })();
  return () => {
    over.abort();
    return watching;
  };
}
