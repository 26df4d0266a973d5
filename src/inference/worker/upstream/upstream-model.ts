import { parseMetadata } from '../../foreign/oip-metadata.ts';
import { maxBatchOf } from '../../foreign/oip-model.ts';
import type { ModelReference, OipClient } from '../../oip/client.ts';
import { OipError } from '../../oip/errors.ts';
import { isRecord } from '../../oip/tensor-entries.ts';
import type { Tensor, TensorMetadata } from '../../tensor.ts';
import { checkRequest } from '../check-inputs.ts';
import { companyOf, isBatched } from '../joined-tensors.ts';
import type { Run, Runner } from '../run-together.ts';
import { ModelStatistics } from '../statistics.ts';
import type { Company } from '../turns.ts';

export interface UpstreamModelOptions {
  readonly key: string;
  readonly reference: ModelReference;
  /** Images that are run together where the upstream does not say. */
  readonly maxBatch: number;
  readonly signal: AbortSignal;
}

/** A batch may take as long as the longest request that an API sends. */
const RUN_MS = 60_000;

/** A model that the server behind this worker has. */
export class UpstreamModel implements Runner {
  readonly key: string;
  /** As the upstream tells it. */
  readonly metadata: object;
  readonly statistics = new ModelStatistics();
  readonly #client: OipClient;
  readonly #reference: ModelReference;
  readonly #declared: { readonly inputs: TensorMetadata[]; readonly outputs: TensorMetadata[] };
  #joins: number;

  private constructor(
    client: OipClient,
    { key, reference }: UpstreamModelOptions,
    metadata: object,
    maxBatch: number,
  ) {
    this.#client = client;
    this.key = key;
    this.#reference = reference;
    this.metadata = metadata;
    this.#declared = declaredOf(metadata);
    this.#joins = isBatched(this.#declared) ? Math.max(1, maxBatch) : 1;
  }

  /** Throws OipError as the upstream does, WorkerLostError where it does not answer. */
  static async open(client: OipClient, options: UpstreamModelOptions): Promise<UpstreamModel> {
    const { reference, maxBatch, signal } = options;
    const metadata = await client.metadata(reference, signal);
    const configured = await maxBatchOf(client, reference, signal);
    return new UpstreamModel(client, options, isRecord(metadata) ? metadata : {}, configured ?? maxBatch);
  }

  /** Images that are run together at most. */
  get maxBatch(): number {
    return this.#joins;
  }

  companyOf(inputs: readonly Tensor[], outputs: readonly string[] | null): Company {
    checkRequest(this.#declared, inputs, outputs);
    return companyOf(this.key, this.#declared.inputs, inputs, this.#joins);
  }

  isReady(signal: AbortSignal): Promise<boolean> {
    return this.#client.modelReady(this.#reference, signal);
  }

  ran(images: number, computeMs: number): void {
    this.statistics.ran(images, computeMs);
  }

  cannotJoin(): void {
    this.#joins = 1;
  }

  async run(inputs: readonly Tensor[], outputs: readonly string[] | null): Promise<Omit<Run, 'batchSize'>> {
    const start = performance.now();
    const signal = AbortSignal.timeout(RUN_MS);
    const answer = await this.#client
      .infer(this.#reference, inputs, { signal, ...(outputs && { outputs }) })
      .catch(asAnswer);
    const { device } = answer.parameters;
    return {
      outputs: answer.outputs,
      computeMs: performance.now() - start,
      device: typeof device === 'string' ? device.slice(0, 64) : 'upstream',
    };
  }
}

/** What a client is told of an upstream that did not answer: to come again. Throws always. */
export function asAnswer(error: Error): never {
  if (error instanceof OipError) throw error;
  throw new OipError(503, `the server behind this worker does not answer: ${error.message}`, {
    cause: error,
  });
}

/** Types that are not spoken here are as they came: no tensor has them, so a request with one is refused by their names. */
function declaredOf(metadata: object) {
  const { inputs, outputs } = parseMetadata(metadata);
  return { inputs: inputs as TensorMetadata[], outputs: outputs as TensorMetadata[] };
}
