export interface TransportOptions {
    /** Of the GraphQL endpoint. */
    readonly url: string;
    /** An API key, a client token or an access token. */
    readonly token: string;
    readonly fetch: typeof fetch;
    /** How often a call is made again after the first time. */
    readonly maxRetries: number;
}
export interface CallOptions {
    readonly signal?: AbortSignal | undefined;
}
/** A document of GraphQL with the types of what goes in and comes out. */
export interface Document<Data, Variables> {
    readonly text: string;
    /** Never there: it carries the types alone. */
    readonly types?: (variables: Variables) => Data;
}
/**
 * Sends operations to one server, and again where a call failed for the moment. A mutation that must not be made twice
 * needs an idempotency key in its variables: an answer may be lost on its way back.
 */
export declare class Transport {
    #private;
    constructor(options: TransportOptions);
    get fetch(): typeof fetch;
    /** @throws FoveaError, or the signal's reason */
    request<Data, Variables>(document: Document<Data, Variables>, variables: Variables, { signal }?: CallOptions): Promise<Data>;
    /** Makes `call` again while it fails with what passes: after the time that the server names, or longer and longer. */
    retrying<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
}
/** `fetch` hides what went wrong in the cause of its error. */
export declare function reasonOf(error: unknown): string;
