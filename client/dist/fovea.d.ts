import type { ClassifyInput, ClassifyMutation, CoordinateSpace, CreateClientTokenInput, CreateClientTokenMutation, DetectInput, DetectMutation, ModelFragment, ModelsQueryVariables, QuotaFragment, SegmentInput, SegmentMutation, UsageQuery, UsageQueryVariables, ViewerQuery } from './generated/operations.ts';
import { type Picture } from './pictures.ts';
import { type CallOptions, type Document, type Token } from './transport.ts';
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
type Request<Input> = Omit<Input, 'images'> & {
    readonly images: Picture | readonly Picture[];
};
type InSpace = {
    readonly space?: CoordinateSpace;
};
/** A client of one Fovea server. Every method throws a `FoveaError` of the class that its code names. */
export declare class Fovea {
    #private;
    constructor({ url, token, maxRetries, uploadAbove, fetch, }: FoveaOptions);
    classify(input: Request<ClassifyInput>, options?: CallOptions): Promise<ClassifyMutation['classify']>;
    /** Boxes in pixels of the picture, or as shares of it where `space` is `NORMALIZED`. */
    detect(input: Request<DetectInput>, { space, ...options }?: CallOptions & InSpace): Promise<DetectMutation['detect']>;
    /**
     * Masks as COCO run-length encoding; with `png` as base64 of a 1-bit PNG as well. More than 2 MB of them are refused, for the
     * idempotency key cannot keep them: then `idempotencyKey: null` asks without one.
     */
    segment(input: Request<SegmentInput>, { space, png, ...options }?: CallOptions & InSpace & {
        readonly png?: boolean;
    }): Promise<SegmentMutation['segment']>;
    /** Brings one picture to the server. Answers the id that `{ uploadId }` takes, until it expires. */
    upload(picture: Uint8Array | ArrayBuffer | Blob, { signal }?: CallOptions): Promise<string>;
    /** A short-lived token for a browser or a device, never wider than the API key that this client has. */
    createClientToken(input?: CreateClientTokenInput, options?: CallOptions): Promise<CreateClientTokenMutation['createClientToken']>;
    viewer(options?: CallOptions): Promise<ViewerQuery['viewer']>;
    quota(options?: CallOptions): Promise<QuotaFragment>;
    /** null: this tenant has no such model. Without a version the live one. */
    model(name: string, version?: number, options?: CallOptions): Promise<ModelFragment | null>;
    /** All models, fetched as they are asked for. */
    models({ task }?: Pick<ModelsQueryVariables, 'task'>, options?: CallOptions): AsyncGenerator<ModelFragment>;
    usage({ bucket, groupBy, ...span }: Omit<UsageQueryVariables, 'bucket' | 'groupBy'> & Partial<Pick<UsageQueryVariables, 'bucket' | 'groupBy'>>, options?: CallOptions): Promise<UsageQuery['usage']>;
    /**
     * Any operation of the schema: `request<Data>({ text: 'query …' }, variables)`. A mutation whose answer was lost is not made
     * again.
     */
    request<Data, Variables = Record<string, unknown>>(document: Document<Data, Variables>, variables: Variables, options?: CallOptions): Promise<Data>;
}
/** Whether a result is the error of its image. */
export declare function isImageError<Result extends {
    readonly __typename: string;
}>(result: Result): result is Extract<Result, {
    readonly __typename: 'ImageError';
}>;
export {};
