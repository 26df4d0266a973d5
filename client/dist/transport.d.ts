export type Token = string | (() => string | Promise<string>);
export interface TransportOptions {
    /** Of the GraphQL endpoint. */
    readonly url: string;
    /** An API key, a client token or an access token; or what answers the present one, asked at each try. */
    readonly token: Token;
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
/** Sends operations to one server, and again where a call failed for the moment and may be made twice. */
export declare class Transport {
    #private;
    constructor(options: TransportOptions);
    get fetch(): typeof fetch;
    /**
     * @param repeatable whether making the call twice does what making it once does: a query, or a mutation with an idempotency key
     * @throws FoveaError, or the signal's reason
     */
    request<Data, Variables>(document: Document<Data, Variables>, variables: Variables, { signal }?: CallOptions, repeatable?: boolean): Promise<Data>;
    /** Makes `call` again while it fails with what passes: after the time that the server names, or longer and longer. */
    retrying<T>(call: () => Promise<T>, signal: AbortSignal | undefined, repeatable: boolean): Promise<T>;
    /** One try. */
    send<Data, Variables>({ text }: Document<Data, Variables>, variables: Variables, signal: AbortSignal | undefined): Promise<Data>;
}
/** `fetch` hides what went wrong in the cause of its error. */
export declare function reasonOf(error: unknown): string;
