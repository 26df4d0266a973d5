import { NetworkError, UploadError } from './errors.js';
import * as operations from './generated/operations.js';
import { base64Of, bytesOf, mediaTypeOf } from './pictures.js';
import { reasonOf, Transport } from './transport.js';
/** A client of one Fovea server. Every method throws a `FoveaError` of the class that its code names. */
export class Fovea {
    #transport;
    #uploadAbove;
    constructor({ url, token, maxRetries = 4, uploadAbove = 1_000_000, fetch = globalThis.fetch, }) {
        this.#transport = new Transport({
            url: `${url.replace(/\/+$/, '')}/graphql`,
            token,
            maxRetries,
            // Called as a method of another object, the browsers' own would refuse.
            fetch: (...call) => fetch(...call),
        });
        this.#uploadAbove = uploadAbove;
    }
    async classify(input, options) {
        const images = await this.#imageInputs(input.images, options);
        const keyed = withKey(input);
        const variables = { input: { ...keyed, images } };
        const repeatable = keyed.idempotencyKey !== null;
        return (await this.#transport.request(operations.Classify, variables, options, repeatable)).classify;
    }
    /** Boxes in pixels of the picture, or as shares of it where `space` is `NORMALIZED`. */
    async detect(input, { space = 'PIXEL', ...options } = {}) {
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
    async segment(input, { space = 'PIXEL', png = false, ...options } = {}) {
        const images = await this.#imageInputs(input.images, options);
        const keyed = withKey(input);
        const variables = { input: { ...keyed, images }, space, png };
        const repeatable = keyed.idempotencyKey !== null;
        return (await this.#transport.request(operations.Segment, variables, options, repeatable)).segment;
    }
    /** Brings one picture to the server. Answers the id that `{ uploadId }` takes, until it expires. */
    async upload(picture, { signal } = {}) {
        const bytes = (await bytesOf(picture));
        const contentType = mediaTypeOf(bytes);
        if (contentType === null) {
            throw new UploadError('The bytes are no JPEG, PNG, WebP, AVIF, GIF or TIFF: nothing was sent.', 415);
        }
        const input = { contentType, bytes: bytes.byteLength, sha256: await sha256Of(bytes) };
        return this.#transport.retrying(async () => {
            // A place for each try: one that was begun with may have been used up.
            const { createUpload } = await this.#transport.send(operations.CreateUpload, { input }, signal);
            await this.#put(createUpload.url, contentType, bytes, signal);
            return createUpload.id;
        }, signal, true);
    }
    /** A short-lived token for a browser or a device, never wider than the API key that this client has. */
    async createClientToken(input = {}, options) {
        return (await this.request(operations.CreateClientToken, { input }, options)).createClientToken;
    }
    async viewer(options) {
        return (await this.request(operations.Viewer, {}, options)).viewer;
    }
    async quota(options) {
        return (await this.request(operations.Quota, {}, options)).quota;
    }
    /** null: this tenant has no such model. Without a version the live one. */
    async model(name, version, options) {
        return (await this.request(operations.Model, { name, version: version ?? null }, options)).model ?? null;
    }
    /** All models, fetched as they are asked for. */
    async *models({ task } = {}, options) {
        for (let after = null;;) {
            const page = await this.request(operations.Models, { first: 100, after, task: task ?? null }, options);
            for (const { node } of page.models.edges)
                yield node;
            if (!page.models.pageInfo.hasNextPage)
                return;
            after = page.models.pageInfo.endCursor ?? null;
        }
    }
    async usage({ bucket = 'DAY', groupBy = [], ...span }, options) {
        return (await this.request(operations.Usage, { ...span, bucket, groupBy }, options)).usage;
    }
    /**
     * Any operation of the schema: `request<Data>({ text: 'query …' }, variables)`. A mutation whose answer was lost is not made
     * again.
     */
    request(document, variables, options) {
        return this.#transport.request(document, variables, options);
    }
    #imageInputs(pictures, options) {
        const each = isList(pictures) ? pictures : [pictures];
        return Promise.all(each.map((picture) => this.#imageInput(picture, options)));
    }
    async #imageInput(picture, options) {
        const bytes = await bytesOf(picture);
        if (bytes === null)
            return picture;
        // What is no picture goes into the request: the server says of each image what is wrong with it.
        if (bytes.byteLength <= this.#uploadAbove || mediaTypeOf(bytes) === null)
            return { base64: base64Of(bytes) };
        return { uploadId: await this.upload(bytes, options) };
    }
    async #put(url, contentType, bytes, signal) {
        const init = {
            method: 'PUT',
            headers: { 'content-type': contentType },
            body: bytes,
        };
        const response = await this.#transport.fetch(url, signal ? { ...init, signal } : init).catch((error) => {
            signal?.throwIfAborted();
            throw new NetworkError(`The upload broke off: ${reasonOf(error)}`, error);
        });
        if (response.ok)
            return;
        const { error } = (await response.json().catch(() => ({})));
        throw new UploadError(error ?? `The upload was refused with status ${response.status}.`, response.status);
    }
}
/** `Array.isArray` does not know of lists that are only read. */
function isList(pictures) {
    return Array.isArray(pictures);
}
function withKey(input) {
    return {
        ...input,
        idempotencyKey: input.idempotencyKey === undefined ? randomKey() : input.idempotencyKey,
    };
}
/** Pages that came without TLS have no `crypto.randomUUID`. */
function randomKey() {
    return hexOf(crypto.getRandomValues(new Uint8Array(16)));
}
function hexOf(bytes) {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
/** null where the platform has no cryptography, as a page that came without TLS: the server then checks the length alone. */
async function sha256Of(bytes) {
    if (globalThis.crypto?.subtle === undefined)
        return null;
    return hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}
/** Whether a result is the error of its image. */
export function isImageError(result) {
    return result.__typename === 'ImageError';
}
