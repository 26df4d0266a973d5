import { randomBytes } from 'node:crypto';
import { askAbout, foveaStream, requestsAbout } from '../load/fovea-requests.ts';
import type { Stream } from '../load/stream.ts';
import { type BenchModel, builtInModel } from '../models.ts';
import { open } from '../saturation.ts';

/** Its clients do not hear every answer, and so are billed for more than they saw. */
export const RUDE = 'rude';

/** Tenants, each of which has one stream of the same name. */
export const TENANTS = ['steady', 'seeing', 'changing', 'spoilt', RUDE] as const;

/** What of the load is whose; the rest is the steady tenant's. */
const PARTS = { seeing: 0.1, changing: 0.1, spoilt: 0.05, [RUDE]: 0.05 };

interface Source {
  readonly url: string;
  readonly keys: Readonly<Record<string, string>>;
  readonly model: BenchModel;
  readonly pictures: readonly Buffer[];
  readonly perSecond: number;
}

/** By tenant. */
export async function mixedLoad({
  url,
  keys,
  model,
  pictures,
  perSecond,
}: Source): Promise<Record<string, Stream>> {
  const [detect, segment] = [await builtInModel('shapes-detect'), await builtInModel('shapes-segment')];
  const some = pictures.slice(0, 16);
  const bodies: Record<keyof typeof PARTS, Buffer[]> = {
    seeing: some.flatMap((picture) => [detect, segment].flatMap((each) => requestsAbout(each, [picture]))),
    // Without a version: whichever is live.
    changing: some.map((picture) =>
      askAbout({ task: 'CLASSIFY', name: 'changing', version: null }, base64(picture)),
    ),
    spoilt: some.flatMap((picture) => requestsAbout(model, [...spoiltKinds(picture)])),
    [RUDE]: requestsAbout(model, some),
  };
  const streams: Record<string, Stream> = {};
  for (const [index, [name, part]] of Object.entries(PARTS).entries()) {
    const arrivals = open(part * perSecond, index + 1);
    streams[name] = foveaStream(url, keys[name]!, bodies[name as keyof typeof PARTS], arrivals);
  }
  const left = 1 - Object.values(PARTS).reduce((sum, part) => sum + part, 0);
  return {
    ...streams,
    steady: foveaStream(url, keys.steady!, requestsAbout(model, pictures), open(left * perSecond, 100)),
    [RUDE]: { ...streams[RUDE]!, hangUpAfterMs: 8 },
  };
}

function base64(picture: Buffer): { base64: string } {
  return { base64: picture.toString('base64') };
}

/** A picture cut off, one with a hole, and what is none. */
function* spoiltKinds(picture: Buffer): Generator<Buffer> {
  yield picture.subarray(0, picture.length / 2);
  const holed = Buffer.from(picture);
  randomBytes(200).copy(holed, picture.length / 3);
  yield holed;
  yield randomBytes(2_000);
}
