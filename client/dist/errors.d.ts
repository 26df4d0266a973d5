/** Whatever a call of the client fails with. `code` is the server's, or one of the two that are the client's own. */
export declare class FoveaError extends Error {
    /** `extensions.code` of the answer; `NETWORK_ERROR` or `UPLOAD_FAILED` where there is none. */
    readonly code: string;
    /** What the server said beside the code, such as `remaining` of QUOTA_EXCEEDED. */
    readonly extensions: Readonly<Record<string, unknown>>;
    /** For the operator's log; null where no server answered. */
    readonly requestId: string | null;
    constructor(message: string, { code, extensions, requestId, cause }: ErrorDetails);
    /** How long the server asks to wait before the call is made again, milliseconds; null where it does not. */
    get retryAfterMs(): number | null;
}
export interface ErrorDetails {
    readonly code: string;
    readonly extensions?: Readonly<Record<string, unknown>>;
    readonly requestId?: string | null;
    readonly cause?: unknown;
}
export declare class UnauthenticatedError extends FoveaError {
}
export declare class ForbiddenError extends FoveaError {
}
export declare class BadUserInputError extends FoveaError {
}
export declare class NotFoundError extends FoveaError {
}
export declare class RateLimitedError extends FoveaError {
}
export declare class QuotaExceededError extends FoveaError {
}
export declare class ConcurrencyLimitedError extends FoveaError {
}
export declare class OverloadedError extends FoveaError {
}
export declare class DeadlineExceededError extends FoveaError {
}
export declare class IdempotencyConflictError extends FoveaError {
}
export declare class QueryTooComplexError extends FoveaError {
}
export declare class InternalServerError extends FoveaError {
}
/** No answer came, or one that is no answer of a Fovea server. */
export declare class NetworkError extends FoveaError {
    constructor(message: string, cause?: unknown);
}
/** The server did not take the bytes of a picture. */
export declare class UploadError extends FoveaError {
    /** Of the answer to the PUT; 415 where the bytes are of no format that is read, and were not sent. */
    readonly status: number;
    constructor(message: string, status: number);
}
/** The error that an entry of a GraphQL answer's `errors` stands for. */
export declare function errorOf({ message, extensions }: {
    message: string;
    extensions?: Record<string, unknown>;
}, requestId: string | null): FoveaError;
