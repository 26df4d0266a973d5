import { NetworkError, UploadError } from './errors.ts';
import type {
  ClassifyInput,
  ClassifyMutation,
  CoordinateSpace,
  CreateClientTokenInput,
  CreateClientTokenMutation,
  DetectInput,
  DetectMutation,
  ModelFragment,
  ModelsQueryVariables,
  QuotaFragment,
  SegmentInput,
  SegmentMutation,
  UsageQuery,
  UsageQueryVariables,
  ViewerQuery,
} from './generated/operations.ts';
import * as operations from './generated/operations.ts';
import { base64Of, bytesOf, mediaTypeOf, type Picture } from './pictures.ts';
import { type CallOptions, type Document, reasonOf, type Token, Transport } from './transport.ts';

export interface FoveaOptions {
  /** Of the server, such as `https://fovea.example`. */
  readonly url: string;
  /** An API key, a client token or an access token; or what answers the present one, asked at each try. */
  readonly token: Token;
  /** How often a call is made again while the server is busy or does not answer. 4. */
  readonly maxRetries?: number;
  /** Pictures of more bytes are uploaded first instead of being put into the request. 1,000,000. */
  readonly uploadAbove?: number;
  /** In the place of the platform's own. */
  readonly fetch?: typeof fetch;
}

/**
 * Left out, an idempotency key is made: a call that is made again is neither computed nor billed twice. With `null` there is
 * none, and a call whose answer was lost is not made again. A key of one's own for a picture that is large enough to be
 * uploaded needs the same `{ uploadId }` each time.
 */
type Request<Input> = Omit<Input, 'images'> & { readonly images: Picture | readonly Picture[] };
type InSpace = { readonly space?: CoordinateSpace };

/** A client of one Fovea server. Every method throws a `FoveaError` of the class that its code names. */
export class Fovea {
  readonly #transport: Transport;
  readonly #uploadAbove: number;

  constructor({
    url,
    token,
    maxRetries = 4,
    uploadAbove = 1_000_000,
    fetch = globalThis.fetch,
  }: FoveaOptions) {
    this.#transport = new Transport({
      url: `${url.replace(/\/+$/, '')}/graphql`,
      token,
      maxRetries,
      // Called as a method of another object, the browsers' own would refuse.
      fetch: (...call) => fetch(...call),
    });
    this.#uploadAbove = uploadAbove;
  }

  async classify(
    input: Request<ClassifyInput>,
    options?: CallOptions,
  ): Promise<ClassifyMutation['classify']> {
    const images = await this.#imageInputs(input.images, options);
    const keyed = withKey(input);
    const variables = { input: { ...keyed, images } };
    const repeatable = keyed.idempotencyKey !== null;
    return (await this.#transport.request(operations.Classify, variables, options, repeatable)).classify;
  }

  /** Boxes in pixels of the picture, or as shares of it where `space` is `NORMALIZED`. */
  async detect(
    input: Request<DetectInput>,
    { space = 'PIXEL', ...options }: CallOptions & InSpace = {},
  ): Promise<DetectMutation['detect']> {
    const images = await this.#imageInputs(input.images, options);
    const keyed = withKey(input);
    const variables = { input: { ...keyed, images }, space };
    const repeatable = keyed.idempotencyKey !== null;
    return (await this.#transport.request(operations.Detect, variables, options, repeatable)).detect;
  }

  /**
   * Masks as COCO run-length encoding; with `png` as base64 of a 1-bit PNG as well. More than 2 MB of them are refused, for the
   * idempotency key cannot keep them: then `idempotencyKey: null` asks without one.
   */
  async segment(
    input: Request<SegmentInput>,
    { space = 'PIXEL', png = false, ...options }: CallOptions & InSpace & { readonly png?: boolean } = {},
  ): Promise<SegmentMutation['segment']> {
    const images = await this.#imageInputs(input.images, options);
    const keyed = withKey(input);
    const variables = { input: { ...keyed, images }, space, png };
    const repeatable = keyed.idempotencyKey !== null;
    return (await this.#transport.request(operations.Segment, variables, options, repeatable)).segment;
  }

  /** Brings one picture to the server. Answers the id that `{ uploadId }` takes, until it expires. */
  async upload(picture: Uint8Array | ArrayBuffer | Blob, { signal }: CallOptions = {}): Promise<string> {
    const bytes = (await bytesOf(picture))!;
    const contentType = mediaTypeOf(bytes);
    if (contentType === null) {
      throw new UploadError('The bytes are no JPEG, PNG, WebP, AVIF, GIF or TIFF: nothing was sent.', 415);
    }
    const input = { contentType, bytes: bytes.byteLength, sha256: await sha256Of(bytes) };
    return this.#transport.retrying(
      async () => {
        // A place for each try: one that was begun with may have been used up.
        const { createUpload } = await this.#transport.send(operations.CreateUpload, { input }, signal);
        await this.#put(createUpload.url, contentType, bytes, signal);
        return createUpload.id;
      },
      signal,
      true,
    );
  }

  /** A short-lived token for a browser or a device, never wider than the API key that this client has. */
  async createClientToken(
    input: CreateClientTokenInput = {},
    options?: CallOptions,
  ): Promise<CreateClientTokenMutation['createClientToken']> {
    return (await this.request(operations.CreateClientToken, { input }, options)).createClientToken;
  }

  async viewer(options?: CallOptions): Promise<ViewerQuery['viewer']> {
    return (await this.request(operations.Viewer, {}, options)).viewer;
  }

  async quota(options?: CallOptions): Promise<QuotaFragment> {
    return (await this.request(operations.Quota, {}, options)).quota;
  }

  /** null: this tenant has no such model. Without a version the live one. */
  async model(name: string, version?: number, options?: CallOptions): Promise<ModelFragment | null> {
    return (await this.request(operations.Model, { name, version: version ?? null }, options)).model ?? null;
  }

  /** All models, fetched as they are asked for. */
  async *models(
    { task }: Pick<ModelsQueryVariables, 'task'> = {},
    options?: CallOptions,
  ): AsyncGenerator<ModelFragment> {
    for (let after: string | null = null; ; ) {
      const page: operations.ModelsQuery = await this.request(
        operations.Models,
        { first: 100, after, task: task ?? null },
        options,
      );
      for (const { node } of page.models.edges) yield node;
      if (!page.models.pageInfo.hasNextPage) return;
      after = page.models.pageInfo.endCursor ?? null;
    }
  }

  async usage(
    {
      bucket = 'DAY',
      groupBy = [],
      ...span
    }: Omit<UsageQueryVariables, 'bucket' | 'groupBy'> &
      Partial<Pick<UsageQueryVariables, 'bucket' | 'groupBy'>>,
    options?: CallOptions,
  ): Promise<UsageQuery['usage']> {
    return (await this.request(operations.Usage, { ...span, bucket, groupBy }, options)).usage;
  }

  /**
   * Any operation of the schema: `request<Data>({ text: 'query …' }, variables)`. A mutation whose answer was lost is not made
   * again.
   */
  request<Data, Variables = Record<string, unknown>>(
    document: Document<Data, Variables>,
    variables: Variables,
    options?: CallOptions,
  ): Promise<Data> {
    return this.#transport.request(document, variables, options);
  }

  #imageInputs(
    pictures: Picture | readonly Picture[],
    options: CallOptions | undefined,
  ): Promise<operations.ImageInput[]> {
    const each = isList(pictures) ? pictures : [pictures];
    return Promise.all(each.map((picture) => this.#imageInput(picture, options)));
  }

  async #imageInput(picture: Picture, options: CallOptions | undefined): Promise<operations.ImageInput> {
    const bytes = await bytesOf(picture);
    if (bytes === null) return picture as operations.ImageInput;
    // What is no picture goes into the request: the server says of each image what is wrong with it.
    if (bytes.byteLength <= this.#uploadAbove || mediaTypeOf(bytes) === null)
      return { base64: base64Of(bytes) };
    return { uploadId: await this.upload(bytes, options) };
  }

  async #put(
    url: string,
    contentType: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const init = {
      method: 'PUT',
      headers: { 'content-type': contentType },
      body: bytes as Uint8Array<ArrayBuffer>,
    };
    const response = await this.#transport.fetch(url, signal ? { ...init, signal } : init).catch((error) => {
      signal?.throwIfAborted();
      throw new NetworkError(`The upload broke off: ${reasonOf(error)}`, error);
    });
    if (response.ok) return;
    const { error } = (await response.json().catch(() => ({}))) as { error?: string };
    throw new UploadError(error ?? `The upload was refused with status ${response.status}.`, response.status);
  }
}

/** `Array.isArray` does not know of lists that are only read. */
function isList(pictures: Picture | readonly Picture[]): pictures is readonly Picture[] {
  return Array.isArray(pictures);
}

function withKey<Input extends { readonly idempotencyKey?: string | null | undefined }>(input: Input) {
  return {
    ...input,
    idempotencyKey: input.idempotencyKey === undefined ? randomKey() : input.idempotencyKey,
  };
}

/** Pages that came without TLS have no `crypto.randomUUID`. */
function randomKey(): string {
  return hexOf(crypto.getRandomValues(new Uint8Array(16)));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** null where the platform has no cryptography, as a page that came without TLS: the server then checks the length alone. */
async function sha256Of(bytes: Uint8Array): Promise<string | null> {
  if (globalThis.crypto?.subtle === undefined) return null;
  return hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)));
}

/** Whether a result is the error of its image. */
export function isImageError<Result extends { readonly __typename: string }>(
  result: Result,
): result is Extract<Result, { readonly __typename: 'ImageError' }> {
  return result.__typename === 'ImageError';
}
