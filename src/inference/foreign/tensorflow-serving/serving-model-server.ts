import { isNo, OipError } from '../../oip/errors.ts';
import type { ModelServer, OpenVariant } from '../../pool/model-server.ts';
import type { Patience } from '../../pool/patience.ts';
import type { Tensor } from '../../tensor.ts';
import { nameElsewhere, type Variant } from '../../variant.ts';
import { adapt, type ForeignModel } from '../adapted-model.ts';
import type { DeclaredTensor } from '../declared-model.ts';
import type { TensorThreads } from '../tensor-threads.ts';
import type { ServedVersion, ServingClient, Signature } from './serving-client.ts';

/** What a SavedModel's function is called that exporters mean to be asked. */
const DEFAULT_SIGNATURE = 'serving_default';

/** What TensorFlow lists among the signatures, and nobody asks. */
const INITIALISER = '__saved_model_init_op';

/** A TensorFlow Serving, which serves what it was started for: models are exported to it. */
export class ServingModelServer implements ModelServer {
  readonly #client: ServingClient;
  readonly #threads: TensorThreads;

  constructor(client: ServingClient, threads: TensorThreads) {
    this.#client = client;
    this.#threads = threads;
  }

  requireReady(signal: AbortSignal): Promise<void> {
    return this.#client.requireReady(signal);
  }

  async open(variant: Variant, { signal }: Patience): Promise<OpenVariant> {
    const version = nameElsewhere(variant);
    const title = `'${version.name}' version ${version.version}`;
    if (!(await this.#client.isAvailable(version, signal)))
      throw new OipError(503, `${title} is not available there yet, or not any more`);
    const [name, signature] = choose(await this.#client.signatures(version, signal), title);
    return adapt(new ServedModel(this.#client, { title, version, name, signature }), variant, this.#threads);
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

/** The default one, else the only one. */
function choose(signatures: ReadonlyMap<string, Signature>, title: string): [string, Signature] {
  const usable = new Map(signatures);
  usable.delete(INITIALISER);
  const fallback = usable.get(DEFAULT_SIGNATURE);
  if (fallback !== undefined) return [DEFAULT_SIGNATURE, fallback];
  const [only, ...others] = usable;
  if (only !== undefined && others.length === 0) return only;
  const found = [...usable.keys()].map((name) => `'${name}'`).join(', ') || 'none';
  throw new OipError(
    422,
    `${title} has the signatures ${found}; wanted '${DEFAULT_SIGNATURE}', or one alone`,
  );
}

interface Served {
  readonly title: string;
  readonly version: ServedVersion;
  /** The signature's. */
  readonly name: string;
  readonly signature: Signature;
}

class ServedModel implements ForeignModel {
  readonly title: string;
  readonly declared: ForeignModel['declared'];
  readonly #client: ServingClient;
  readonly #version: ServedVersion;
  readonly #signature: string;

  constructor(client: ServingClient, { title, version, name, signature }: Served) {
    this.title = title;
    this.declared = { ...signature, maxBatch: null, maxBytes: client.maxBytes };
    this.#client = client;
    this.#version = version;
    this.#signature = name;
  }

  async infer(input: Tensor, outputs: readonly DeclaredTensor[], signal: AbortSignal) {
    const asked = { signature: this.#signature, input, outputs };
    return { outputs: await this.#client.predict(this.#version, asked, signal) };
  }

  async isHeld(signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#client.isAvailable(this.#version, signal);
    } catch (error) {
      if (isNo(error)) return false;
      throw error;
    }
  }
}
