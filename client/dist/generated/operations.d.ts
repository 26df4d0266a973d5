import type { Document } from '../transport.ts';
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends {
    [key: string]: unknown;
}> = {
    [K in keyof T]: T[K];
};
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | {
    [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never;
};
export type CreateClientTokenInput = {
    readonly scopes?: ReadonlyArray<Scope>;
    readonly models?: ReadonlyArray<string> | null | undefined;
    readonly maxUnits?: number | null | undefined;
    readonly origins?: ReadonlyArray<string> | null | undefined;
    readonly ttlSeconds?: number;
};
export type Task = 'CLASSIFY' | 'DETECT' | 'SEGMENT';
/** Which stored variant of a model answers. AUTO picks the cheapest one inside the caller's bounds. */
export type Compression = 'NONE' | 'FLOAT16' | 'INT8' | 'PRUNED' | 'AUTO';
export type Priority = 'INTERACTIVE' | 'BATCH';
/**
 * Exactly one member is set. Bytes may be JPEG, PNG, WebP, AVIF, GIF (first frame), TIFF (first page). EXIF orientation is applied, alpha
 * dropped, 16-bit scaled to 8, CMYK converted; other colour profiles are ignored, as the reference decoders do.
 */
export type ImageInput = {
    readonly base64: string;
    readonly url?: never;
    readonly uploadId?: never;
} | {
    readonly base64?: never;
    readonly url: string;
    readonly uploadId?: never;
} | {
    readonly base64?: never;
    readonly url?: never;
    readonly uploadId: string | number;
};
/** `AUTO` only: bounds a variant must meet, by its stored report. */
export type AutoCompressionInput = {
    readonly maxAccuracyLoss?: number | null | undefined;
    readonly maxLatencyMs?: number | null | undefined;
};
export type ClassifyInput = {
    readonly model: string;
    readonly images: ReadonlyArray<ImageInput>;
    readonly topK?: number;
    readonly minScore?: number;
    readonly compression?: Compression;
    readonly auto?: AutoCompressionInput | null | undefined;
    readonly priority?: Priority;
    /** 1..120000, default 30000. Past it the request is dropped unbilled: DEADLINE_EXCEEDED. Decided once, when the booking is queued. */
    readonly timeoutMs?: number | null | undefined;
    /**
     * A retry with the same key and input (timeoutMs aside) within 24 h returns the first answer, whatever fields are selected this time, and bills
     * nothing: the first requestId, `replayed` true, `units` 0. Other input: IDEMPOTENCY_CONFLICT. A request that failed does not use its key up.
     */
    readonly idempotencyKey?: string | null | undefined;
};
export type DetectInput = {
    readonly model: string;
    readonly images: ReadonlyArray<ImageInput>;
    readonly minScore?: number;
    readonly iouThreshold?: number;
    readonly maxDetections?: number;
    readonly compression?: Compression;
    readonly auto?: AutoCompressionInput | null | undefined;
    readonly priority?: Priority;
    readonly timeoutMs?: number | null | undefined;
    readonly idempotencyKey?: string | null | undefined;
};
export type SegmentInput = {
    readonly model: string;
    readonly images: ReadonlyArray<ImageInput>;
    readonly minScore?: number;
    readonly compression?: Compression;
    readonly auto?: AutoCompressionInput | null | undefined;
    readonly priority?: Priority;
    readonly timeoutMs?: number | null | undefined;
    readonly idempotencyKey?: string | null | undefined;
};
export type ImageErrorCode = 'UNSUPPORTED_FORMAT' | 'CORRUPT_IMAGE' | 'IMAGE_TOO_LARGE' | 'FETCH_FAILED' | 'FORBIDDEN_URL' | 'INFERENCE_FAILED';
/** PIXEL: of the oriented original image. NORMALIZED: 0..1. Origin top left; clipped to the image. */
export type CoordinateSpace = 'PIXEL' | 'NORMALIZED';
/** A key's scopes are within its creator's. ADMIN reaches beyond one's own tenant only for members and keys of the operator's tenant (the initial one). */
export type Scope = 'INFER' | 'MODELS_READ' | 'MODELS_WRITE' | 'USAGE_READ' | 'KEYS_WRITE' | 'BILLING' | 'TRAINING' | 'ADMIN';
export type CreateUploadInput = {
    readonly contentType: string;
    readonly bytes: number | string;
    readonly sha256?: string | null | undefined;
};
export type UsageBucket = 'HOUR' | 'DAY' | 'MONTH';
export type UsageDimension = 'API_KEY' | 'MODEL' | 'COMPRESSION' | 'OPERATION';
export type ReceiptFragment = {
    readonly requestId: string;
    readonly model: string;
    readonly version: number;
    readonly compression: Compression;
    readonly device: string;
    readonly images: number;
    readonly units: number;
    readonly cachedImages: number;
    readonly replayed: boolean;
    readonly batchSize: number;
    readonly timings: {
        readonly totalMs: number;
        readonly decodeMs: number;
        readonly queueMs: number;
        readonly inferenceMs: number;
        readonly postprocessMs: number;
    };
    readonly quota: {
        readonly meter: string;
        readonly limit: number | string | null;
        readonly used: number | string;
        readonly reserved: number | string;
        readonly remaining: number | string | null;
        readonly resetsAt: string;
    };
};
export type QuotaFragment = {
    readonly meter: string;
    readonly limit: number | string | null;
    readonly used: number | string;
    readonly reserved: number | string;
    readonly remaining: number | string | null;
    readonly resetsAt: string;
};
export type BoxFragment = {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
};
export type ModelFragment = {
    readonly id: string;
    readonly name: string;
    readonly version: number;
    readonly task: Task;
    readonly labels: ReadonlyArray<string>;
    readonly license: string | null;
    readonly description: string | null;
    readonly inputWidth: number;
    readonly inputHeight: number;
    readonly isPublic: boolean;
    readonly variants: ReadonlyArray<{
        readonly compression: Compression;
        readonly sizeBytes: number | string;
        readonly unitsPerImage: number;
        readonly report: {
            readonly dataset: string;
            readonly samples: number;
            readonly accuracyDelta: number | null;
            readonly agreement: number;
            readonly speedup: number;
            readonly sizeRatio: number;
            readonly sparsity: number | null;
        } | null;
    }>;
};
export type ClassifyMutationVariables = Exact<{
    input: ClassifyInput;
}>;
export type ClassifyMutation = {
    readonly classify: {
        readonly results: ReadonlyArray<{
            readonly __typename: 'Classification';
            readonly width: number;
            readonly height: number;
            readonly labels: ReadonlyArray<{
                readonly label: string;
                readonly index: number;
                readonly score: number;
            }>;
        } | {
            readonly __typename: 'ImageError';
            readonly code: ImageErrorCode;
            readonly message: string;
        }>;
        readonly receipt: {
            readonly requestId: string;
            readonly model: string;
            readonly version: number;
            readonly compression: Compression;
            readonly device: string;
            readonly images: number;
            readonly units: number;
            readonly cachedImages: number;
            readonly replayed: boolean;
            readonly batchSize: number;
            readonly timings: {
                readonly totalMs: number;
                readonly decodeMs: number;
                readonly queueMs: number;
                readonly inferenceMs: number;
                readonly postprocessMs: number;
            };
            readonly quota: {
                readonly meter: string;
                readonly limit: number | string | null;
                readonly used: number | string;
                readonly reserved: number | string;
                readonly remaining: number | string | null;
                readonly resetsAt: string;
            };
        };
    };
};
export type DetectMutationVariables = Exact<{
    input: DetectInput;
    space: CoordinateSpace;
}>;
export type DetectMutation = {
    readonly detect: {
        readonly results: ReadonlyArray<{
            readonly __typename: 'Detection';
            readonly width: number;
            readonly height: number;
            readonly objects: ReadonlyArray<{
                readonly label: string;
                readonly index: number;
                readonly score: number;
                readonly box: {
                    readonly x: number;
                    readonly y: number;
                    readonly width: number;
                    readonly height: number;
                };
            }>;
        } | {
            readonly __typename: 'ImageError';
            readonly code: ImageErrorCode;
            readonly message: string;
        }>;
        readonly receipt: {
            readonly requestId: string;
            readonly model: string;
            readonly version: number;
            readonly compression: Compression;
            readonly device: string;
            readonly images: number;
            readonly units: number;
            readonly cachedImages: number;
            readonly replayed: boolean;
            readonly batchSize: number;
            readonly timings: {
                readonly totalMs: number;
                readonly decodeMs: number;
                readonly queueMs: number;
                readonly inferenceMs: number;
                readonly postprocessMs: number;
            };
            readonly quota: {
                readonly meter: string;
                readonly limit: number | string | null;
                readonly used: number | string;
                readonly reserved: number | string;
                readonly remaining: number | string | null;
                readonly resetsAt: string;
            };
        };
    };
};
export type SegmentMutationVariables = Exact<{
    input: SegmentInput;
    space: CoordinateSpace;
    png: boolean;
}>;
export type SegmentMutation = {
    readonly segment: {
        readonly results: ReadonlyArray<{
            readonly __typename: 'Segmentation';
            readonly width: number;
            readonly height: number;
            readonly segments: ReadonlyArray<{
                readonly label: string;
                readonly index: number;
                readonly score: number | null;
                readonly areaFraction: number;
                readonly rle: string;
                readonly png?: string;
                readonly box: {
                    readonly x: number;
                    readonly y: number;
                    readonly width: number;
                    readonly height: number;
                };
            }>;
        } | {
            readonly __typename: 'ImageError';
            readonly code: ImageErrorCode;
            readonly message: string;
        }>;
        readonly receipt: {
            readonly requestId: string;
            readonly model: string;
            readonly version: number;
            readonly compression: Compression;
            readonly device: string;
            readonly images: number;
            readonly units: number;
            readonly cachedImages: number;
            readonly replayed: boolean;
            readonly batchSize: number;
            readonly timings: {
                readonly totalMs: number;
                readonly decodeMs: number;
                readonly queueMs: number;
                readonly inferenceMs: number;
                readonly postprocessMs: number;
            };
            readonly quota: {
                readonly meter: string;
                readonly limit: number | string | null;
                readonly used: number | string;
                readonly reserved: number | string;
                readonly remaining: number | string | null;
                readonly resetsAt: string;
            };
        };
    };
};
export type CreateUploadMutationVariables = Exact<{
    input: CreateUploadInput;
}>;
export type CreateUploadMutation = {
    readonly createUpload: {
        readonly id: string;
        readonly url: string;
        readonly expiresAt: string;
    };
};
export type CreateClientTokenMutationVariables = Exact<{
    input: CreateClientTokenInput;
}>;
export type CreateClientTokenMutation = {
    readonly createClientToken: {
        readonly token: string;
        readonly expiresAt: string;
    };
};
export type ViewerQueryVariables = Exact<{
    [key: string]: never;
}>;
export type ViewerQuery = {
    readonly viewer: {
        readonly principal: string;
        readonly scopes: ReadonlyArray<Scope>;
        readonly tenant: {
            readonly id: string;
            readonly name: string;
            readonly plan: {
                readonly name: string;
                readonly monthlyUnits: number | string | null;
                readonly hardLimit: boolean;
                readonly pointsPerSecond: number;
                readonly burst: number;
                readonly concurrency: number;
                readonly weight: number;
            };
        };
    };
};
export type QuotaQueryVariables = Exact<{
    [key: string]: never;
}>;
export type QuotaQuery = {
    readonly quota: {
        readonly meter: string;
        readonly limit: number | string | null;
        readonly used: number | string;
        readonly reserved: number | string;
        readonly remaining: number | string | null;
        readonly resetsAt: string;
    };
};
export type ModelQueryVariables = Exact<{
    name: string;
    version?: number | null | undefined;
}>;
export type ModelQuery = {
    readonly model: {
        readonly id: string;
        readonly name: string;
        readonly version: number;
        readonly task: Task;
        readonly labels: ReadonlyArray<string>;
        readonly license: string | null;
        readonly description: string | null;
        readonly inputWidth: number;
        readonly inputHeight: number;
        readonly isPublic: boolean;
        readonly variants: ReadonlyArray<{
            readonly compression: Compression;
            readonly sizeBytes: number | string;
            readonly unitsPerImage: number;
            readonly report: {
                readonly dataset: string;
                readonly samples: number;
                readonly accuracyDelta: number | null;
                readonly agreement: number;
                readonly speedup: number;
                readonly sizeRatio: number;
                readonly sparsity: number | null;
            } | null;
        }>;
    } | null;
};
export type ModelsQueryVariables = Exact<{
    first: number;
    after?: string | null | undefined;
    task?: Task | null | undefined;
}>;
export type ModelsQuery = {
    readonly models: {
        readonly totalCount: number;
        readonly pageInfo: {
            readonly hasNextPage: boolean;
            readonly endCursor: string | null;
        };
        readonly edges: ReadonlyArray<{
            readonly node: {
                readonly id: string;
                readonly name: string;
                readonly version: number;
                readonly task: Task;
                readonly labels: ReadonlyArray<string>;
                readonly license: string | null;
                readonly description: string | null;
                readonly inputWidth: number;
                readonly inputHeight: number;
                readonly isPublic: boolean;
                readonly variants: ReadonlyArray<{
                    readonly compression: Compression;
                    readonly sizeBytes: number | string;
                    readonly unitsPerImage: number;
                    readonly report: {
                        readonly dataset: string;
                        readonly samples: number;
                        readonly accuracyDelta: number | null;
                        readonly agreement: number;
                        readonly speedup: number;
                        readonly sizeRatio: number;
                        readonly sparsity: number | null;
                    } | null;
                }>;
            };
        }>;
    };
};
export type UsageQueryVariables = Exact<{
    from: string;
    to: string;
    bucket: UsageBucket;
    groupBy: ReadonlyArray<UsageDimension> | UsageDimension;
}>;
export type UsageQuery = {
    readonly usage: ReadonlyArray<{
        readonly start: string;
        readonly apiKeyId: string | null;
        readonly model: string | null;
        readonly compression: Compression | null;
        readonly operation: string | null;
        readonly requests: number | string;
        readonly images: number | string;
        readonly units: number | string;
        readonly errors: number | string;
        readonly p50Ms: number | null;
        readonly p95Ms: number | null;
    }>;
};
export declare const Classify: Document<ClassifyMutation, ClassifyMutationVariables>;
export declare const Detect: Document<DetectMutation, DetectMutationVariables>;
export declare const Segment: Document<SegmentMutation, SegmentMutationVariables>;
export declare const CreateUpload: Document<CreateUploadMutation, CreateUploadMutationVariables>;
export declare const CreateClientToken: Document<CreateClientTokenMutation, CreateClientTokenMutationVariables>;
export declare const Viewer: Document<ViewerQuery, ViewerQueryVariables>;
export declare const Quota: Document<QuotaQuery, QuotaQueryVariables>;
export declare const Model: Document<ModelQuery, ModelQueryVariables>;
export declare const Models: Document<ModelsQuery, ModelsQueryVariables>;
export declare const Usage: Document<UsageQuery, UsageQueryVariables>;
export {};
