import { OtherContentError } from '../../artifact-store.ts';
import { jsonMessage } from '../../oip/codec.ts';
import { BusyError, OipError } from '../../oip/errors.ts';
import type { Answer, Call } from './call.ts';
import { requireOwn, type Served } from './served.ts';

/** After which one that was refused for others is to be brought again. */
const AGAIN_MS = 1_000;

/** Whether an artefact is stored whole: 200 or 404. It is read and hashed to tell. */
export async function holdsArtifact(
  served: Served,
  _call: Call,
  [sha256 = '']: readonly string[],
): Promise<Answer> {
  const { artifacts } = requireTaken(served);
  requireHash(sha256);
  if (await artifacts.has(sha256)) return jsonMessage({});
  throw new OipError(404, `artefact ${sha256}: not in ${artifacts.dir}`);
}

/**
 * Takes an artefact as it comes: to the disk, in constant memory. The answer says that it is there for good, under its name
 * and as its name says. What is there already is not read again.
 */
export async function storeArtifact(
  served: Served,
  call: Call,
  [sha256 = '']: readonly string[],
): Promise<Answer> {
  const { artifacts } = requireTaken(served);
  requireHash(sha256);
  const { maxArtifactBytes } = served;
  const { 'content-encoding': encoding = 'identity' } = call.headers;
  if (encoding !== 'identity') {
    throw new OipError(
      415,
      `content-encoding: an artefact is sent as it is, found '${encoding.slice(0, 40)}'`,
    );
  }
  const end = served.uploads.begin();
  try {
    if (await artifacts.has(sha256)) return jsonMessage({});
    await artifacts.putPieces(call.pieces(maxArtifactBytes), sha256);
  } catch (error) {
    throw refusalOf(error as NodeJS.ErrnoException, sha256);
  } finally {
    end();
  }
  return jsonMessage({});
}

/** Bounds how many artefacts are brought at once: each takes the disk, and a processor to hash it, from what is served. */
export class Uploads {
  readonly #most: number;
  #underWay = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** What is answered ends it. Throws BusyError where there are as many as may be. */
  begin(): () => void {
    if (this.#underWay >= this.#most) {
      const message = `the worker is brought ${this.#underWay} artefacts already: ask again later`;
      throw new BusyError('full', message, AGAIN_MS);
    }
    this.#underWay += 1;
    return () => {
      this.#underWay -= 1;
    };
  }
}

/** Both read whole files, for whoever asks. */
function requireTaken(served: Served): NonNullable<Served['own']> {
  const own = requireOwn(served);
  if (served.takesArtifacts) return own;
  throw new OipError(
    403,
    'artefacts are taken with a token alone where others reach the worker: set FOVEA_WORKER_TOKEN for it',
  );
}

function refusalOf(error: NodeJS.ErrnoException, sha256: string): Error {
  if (error instanceof OipError) return error;
  const message = `artefact ${sha256}: ${error.message}`;
  if (error instanceof OtherContentError) return new OipError(400, message, { cause: error });
  return new OipError(error.code === 'ENOSPC' ? 507 : 500, message, { cause: error });
}

function requireHash(sha256: string): void {
  if (/^[0-9a-f]{64}$/.test(sha256)) return;
  throw new OipError(
    400,
    `the artefact's name: expected 64 lower-case hexadecimal digits, found '${sha256.slice(0, 80)}'`,
  );
}
