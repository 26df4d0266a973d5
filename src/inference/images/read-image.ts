import { Gate } from '../gate.ts';
import type { InputGeometry } from '../variant.ts';
import { type DecodedImage, decodeImage } from './decode.ts';
import { type ImageSource, readSource, type SourceOptions } from './source.ts';

/** Images from URLs at once, and as many from uploads: what is read is held, at up to 20 MB each, until it is decoded. */
const maxFetches = 16;

/** So that one tenant whose hosts are slow leaves places for the others. */
const maxFetchesOfTenant = 8;

const fetches = new Gate(maxFetches);
/** Apart, so that a file on this disk waits behind nobody's slow host. */
const uploadReads = new Gate(maxFetches);
const fetchesOfTenants = new Map<string, Gate>();

/**
 * A picture from wherever it comes to a model's input. A URL is fetched, or an upload read, when its turn comes, and its
 * bytes keep their place until they are decoded: a request of two kilobytes can name 640 megabytes. What came in base64 is
 * held already, and its size is bounded with the request's.
 * @throws ImageError, or the signal's reason once it aborts
 */
export function readImage(
  source: ImageSource,
  geometry: InputGeometry,
  options: SourceOptions,
): Promise<DecodedImage> {
  const { tenantId, signal } = options;
  const turn = { owner: tenantId, signal };
  const read = async () => decodeImage(await readSource(source, options), geometry, turn);
  if ('base64' in source) return read();
  if ('uploadId' in source) return uploadReads.run(read, turn);
  return inTurnOf(tenantId, () => fetches.run(read, turn), signal);
}

async function inTurnOf<T>(tenantId: string, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const gate = fetchesOfTenants.get(tenantId) ?? new Gate(maxFetchesOfTenant);
  fetchesOfTenants.set(tenantId, gate);
  try {
    return await gate.run(work, { signal });
  } finally {
    // The second of two that end together finds its gate gone already, and perhaps another in its place.
    if (gate.isIdle && fetchesOfTenants.get(tenantId) === gate) fetchesOfTenants.delete(tenantId);
  }
}
