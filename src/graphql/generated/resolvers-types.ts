import type { GraphQLResolveInfo, GraphQLScalarType, GraphQLScalarTypeConfig } from 'graphql';
import type { ApiKeyRecord, CreatedApiKey } from '../../tenants/api-keys.ts';
import type { Classification as ClassifiedImage, ClassifyAnswer, DetectAnswer, Detection as DetectedImage, FailedImage, SegmentAnswer, Segmentation as SegmentedImage } from '../../inference/request.ts';
import type { DetectedObjectInPicture, SegmentInPicture } from '../modules/inference/in-picture.ts';
import type { ServedModel, StoredVariant } from '../../models/registry.ts';
import type { Session } from '../../tenants/sessions.ts';
import type { TenantRecord, Principal } from '../../tenants/types.ts';
import type { UsagePoint as BookedUsage } from '../../metering/usage.ts';
import type { GraphqlContext } from '../context.ts';
export type Maybe<T> = T | null;
export type InputMaybe<T> = Maybe<T>;
export type Omit<T, K extends keyof T> = Pick<T, Exclude<keyof T, K>>;
export type RequireFields<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: NonNullable<T[P]> };
/** All built-in and custom scalars, mapped to their actual values */
export type Scalars = {
  ID: { input: string; output: string; }
  String: { input: string; output: string; }
  Boolean: { input: boolean; output: boolean; }
  Int: { input: number; output: number; }
  Float: { input: number; output: number; }
  DateTime: { input: Date; output: Date; }
  URL: { input: string; output: string; }
  BigInt: { input: bigint; output: bigint | number; }
};

export type Query = {
  readonly __typename?: 'Query';
  readonly apiKeys: ApiKeyConnection;
  readonly node?: Maybe<Node>;
  /** Computed from the ledger and the plan, to the cent, before any payment provider is asked. */
  readonly invoicePreview: InvoicePreview;
  readonly model?: Maybe<Model>;
  readonly models: ModelConnection;
  readonly viewer: Viewer;
  /** Over time, from roll-ups, in UTC: `from` is rounded down and `to` up to whole buckets, `to` exclusive; empty buckets are left out. */
  readonly usage: ReadonlyArray<UsagePoint>;
  readonly quota: QuotaState;
};


export type QueryApiKeysArgs = {
  first: Scalars['Int']['input'];
  after?: InputMaybe<Scalars['String']['input']>;
  includeRevoked: Scalars['Boolean']['input'];
};


export type QueryNodeArgs = {
  id: Scalars['ID']['input'];
};


export type QueryModelArgs = {
  name: Scalars['String']['input'];
  version?: InputMaybe<Scalars['Int']['input']>;
};


export type QueryModelsArgs = {
  first: Scalars['Int']['input'];
  after?: InputMaybe<Scalars['String']['input']>;
  task?: InputMaybe<Task>;
};


export type QueryUsageArgs = {
  from: Scalars['DateTime']['input'];
  to: Scalars['DateTime']['input'];
  bucket: UsageBucket;
  groupBy: ReadonlyArray<UsageDimension>;
};

export type Mutation = {
  readonly __typename?: 'Mutation';
  readonly createApiKey: CreateApiKeyPayload;
  /** The old key works for `graceSeconds` more. */
  readonly rotateApiKey: CreateApiKeyPayload;
  readonly revokeApiKey: ApiKey;
  /** A short-lived token for a browser or a device, never wider than the key that mints it; its usage is metered on that key. */
  readonly createClientToken: ClientToken;
  readonly classify: ClassifyPayload;
  readonly detect: DetectPayload;
  readonly segment: SegmentPayload;
  readonly signIn: SignInPayload;
  /** Exchanges a refresh token, once, for a new session token and a new refresh token. */
  readonly refresh: SignInPayload;
  /** Ends the session that the request was sent with: neither of its tokens works afterwards. */
  readonly signOut: Scalars['Boolean']['output'];
  /** A place to PUT one file to before it expires; its id is then an ImageInput.uploadId (or an archive or a model, where an input asks for one). */
  readonly createUpload: Upload;
};


export type MutationCreateApiKeyArgs = {
  input: CreateApiKeyInput;
};


export type MutationRotateApiKeyArgs = {
  id: Scalars['ID']['input'];
  graceSeconds: Scalars['Int']['input'];
};


export type MutationRevokeApiKeyArgs = {
  id: Scalars['ID']['input'];
};


export type MutationCreateClientTokenArgs = {
  input: CreateClientTokenInput;
};


export type MutationClassifyArgs = {
  input: ClassifyInput;
};


export type MutationDetectArgs = {
  input: DetectInput;
};


export type MutationSegmentArgs = {
  input: SegmentInput;
};


export type MutationSignInArgs = {
  input: SignInInput;
};


export type MutationRefreshArgs = {
  refreshToken: Scalars['String']['input'];
};


export type MutationCreateUploadArgs = {
  input: CreateUploadInput;
};

export type CreateApiKeyInput = {
  readonly name: Scalars['String']['input'];
  readonly scopes: ReadonlyArray<Scope>;
  readonly expiresAt?: InputMaybe<Scalars['DateTime']['input']>;
};

export type CreateApiKeyPayload = {
  readonly __typename?: 'CreateApiKeyPayload';
  readonly apiKey: ApiKey;
  readonly secret: Scalars['String']['output'];
};

export type ApiKey = Node & {
  readonly __typename?: 'ApiKey';
  readonly id: Scalars['ID']['output'];
  readonly name: Scalars['String']['output'];
  readonly prefix: Scalars['String']['output'];
  readonly scopes: ReadonlyArray<Scope>;
  readonly createdAt: Scalars['DateTime']['output'];
  readonly lastUsedAt?: Maybe<Scalars['DateTime']['output']>;
  readonly expiresAt?: Maybe<Scalars['DateTime']['output']>;
  readonly revokedAt?: Maybe<Scalars['DateTime']['output']>;
  readonly usage: UsagePoint;
};


export type ApiKeyUsageArgs = {
  from: Scalars['DateTime']['input'];
  to: Scalars['DateTime']['input'];
};

export type ApiKeyConnection = {
  readonly __typename?: 'ApiKeyConnection';
  readonly edges: ReadonlyArray<ApiKeyEdge>;
  readonly pageInfo: PageInfo;
  readonly totalCount: Scalars['Int']['output'];
};

export type ApiKeyEdge = {
  readonly __typename?: 'ApiKeyEdge';
  readonly cursor: Scalars['String']['output'];
  readonly node: ApiKey;
};

export type Node = {
  readonly id: Scalars['ID']['output'];
};

export type PageInfo = {
  readonly __typename?: 'PageInfo';
  readonly hasNextPage: Scalars['Boolean']['output'];
  readonly endCursor?: Maybe<Scalars['String']['output']>;
};

export type InvoicePreview = {
  readonly __typename?: 'InvoicePreview';
  readonly periodStart: Scalars['DateTime']['output'];
  readonly periodEnd: Scalars['DateTime']['output'];
  readonly currency: Scalars['String']['output'];
  readonly totalCents: Scalars['BigInt']['output'];
  readonly lines: ReadonlyArray<InvoiceLine>;
};

export type InvoiceLine = {
  readonly __typename?: 'InvoiceLine';
  readonly description: Scalars['String']['output'];
  readonly units: Scalars['BigInt']['output'];
  readonly unitAmountDecimal: Scalars['String']['output'];
  readonly amountCents: Scalars['BigInt']['output'];
};

export type CreateClientTokenInput = {
  readonly scopes: ReadonlyArray<Scope>;
  readonly models?: InputMaybe<ReadonlyArray<Scalars['String']['input']>>;
  readonly maxUnits?: InputMaybe<Scalars['Int']['input']>;
  readonly origins?: InputMaybe<ReadonlyArray<Scalars['String']['input']>>;
  readonly ttlSeconds: Scalars['Int']['input'];
};

export type ClientToken = {
  readonly __typename?: 'ClientToken';
  readonly token: Scalars['String']['output'];
  readonly expiresAt: Scalars['DateTime']['output'];
};

export type Task =
  | 'CLASSIFY'
  | 'DETECT'
  | 'SEGMENT';

/** Which stored variant of a model answers. AUTO picks the cheapest one inside the caller's bounds. */
export type Compression =
  | 'NONE'
  | 'FLOAT16'
  | 'INT8'
  | 'PRUNED'
  | 'AUTO';

export type Priority =
  | 'INTERACTIVE'
  | 'BATCH';

/**
 * Exactly one member is set. Bytes may be JPEG, PNG, WebP, AVIF, GIF (first frame), TIFF (first page). EXIF orientation is applied, alpha
 * dropped, 16-bit scaled to 8, CMYK converted; other colour profiles are ignored, as the reference decoders do.
 */
export type ImageInput =
  { readonly base64: Scalars['String']['input']; readonly url?: never; readonly uploadId?: never; }
  |  { readonly base64?: never; readonly url: Scalars['URL']['input']; readonly uploadId?: never; }
  |  { readonly base64?: never; readonly url?: never; readonly uploadId: Scalars['ID']['input']; };

/** `AUTO` only: bounds a variant must meet, by its stored report. */
export type AutoCompressionInput = {
  readonly maxAccuracyLoss?: InputMaybe<Scalars['Float']['input']>;
  readonly maxLatencyMs?: InputMaybe<Scalars['Float']['input']>;
};

export type ClassifyInput = {
  readonly model: Scalars['String']['input'];
  readonly images: ReadonlyArray<ImageInput>;
  readonly topK: Scalars['Int']['input'];
  readonly minScore: Scalars['Float']['input'];
  readonly compression: Compression;
  readonly auto?: InputMaybe<AutoCompressionInput>;
  readonly priority: Priority;
  /** 1..120000, default 30000. Past it the request is dropped unbilled: DEADLINE_EXCEEDED. Decided once, when the booking is queued. */
  readonly timeoutMs?: InputMaybe<Scalars['Int']['input']>;
  /**
   * A retry with the same key and input (timeoutMs aside) within 24 h returns the first answer, whatever fields are selected this time, and bills
   * nothing: the first requestId, `replayed` true, `units` 0. Other input: IDEMPOTENCY_CONFLICT. A request that failed does not use its key up.
   */
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

export type DetectInput = {
  readonly model: Scalars['String']['input'];
  readonly images: ReadonlyArray<ImageInput>;
  readonly minScore: Scalars['Float']['input'];
  readonly iouThreshold: Scalars['Float']['input'];
  readonly maxDetections: Scalars['Int']['input'];
  readonly compression: Compression;
  readonly auto?: InputMaybe<AutoCompressionInput>;
  readonly priority: Priority;
  readonly timeoutMs?: InputMaybe<Scalars['Int']['input']>;
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

export type SegmentInput = {
  readonly model: Scalars['String']['input'];
  readonly images: ReadonlyArray<ImageInput>;
  readonly minScore: Scalars['Float']['input'];
  readonly compression: Compression;
  readonly auto?: InputMaybe<AutoCompressionInput>;
  readonly priority: Priority;
  readonly timeoutMs?: InputMaybe<Scalars['Int']['input']>;
  readonly idempotencyKey?: InputMaybe<Scalars['String']['input']>;
};

export type ClassifyPayload = {
  readonly __typename?: 'ClassifyPayload';
  readonly results: ReadonlyArray<ClassifyResult>;
  readonly receipt: Receipt;
};

export type DetectPayload = {
  readonly __typename?: 'DetectPayload';
  readonly results: ReadonlyArray<DetectResult>;
  readonly receipt: Receipt;
};

export type SegmentPayload = {
  readonly __typename?: 'SegmentPayload';
  readonly results: ReadonlyArray<SegmentResult>;
  readonly receipt: Receipt;
};

/** One per image, in input order. An image that fails is an ImageError, is not billed, and spoils no other. */
export type ClassifyResult = Classification | ImageError;

export type DetectResult = Detection | ImageError;

export type SegmentResult = Segmentation | ImageError;

export type ImageErrorCode =
  | 'UNSUPPORTED_FORMAT'
  | 'CORRUPT_IMAGE'
  | 'IMAGE_TOO_LARGE'
  | 'FETCH_FAILED'
  | 'FORBIDDEN_URL'
  | 'INFERENCE_FAILED';

export type ImageError = {
  readonly __typename?: 'ImageError';
  readonly code: ImageErrorCode;
  readonly message: Scalars['String']['output'];
};

export type Classification = {
  readonly __typename?: 'Classification';
  readonly width: Scalars['Int']['output'];
  readonly height: Scalars['Int']['output'];
  readonly labels: ReadonlyArray<LabelScore>;
};

export type LabelScore = {
  readonly __typename?: 'LabelScore';
  readonly label: Scalars['String']['output'];
  readonly index: Scalars['Int']['output'];
  readonly score: Scalars['Float']['output'];
};

export type Detection = {
  readonly __typename?: 'Detection';
  readonly width: Scalars['Int']['output'];
  readonly height: Scalars['Int']['output'];
  readonly objects: ReadonlyArray<DetectedObject>;
};

export type DetectedObject = {
  readonly __typename?: 'DetectedObject';
  readonly label: Scalars['String']['output'];
  readonly index: Scalars['Int']['output'];
  readonly score: Scalars['Float']['output'];
  readonly box: Box;
};


export type DetectedObjectBoxArgs = {
  space: CoordinateSpace;
};

/** PIXEL: of the oriented original image. NORMALIZED: 0..1. Origin top left; clipped to the image. */
export type CoordinateSpace =
  | 'PIXEL'
  | 'NORMALIZED';

export type Box = {
  readonly __typename?: 'Box';
  readonly x: Scalars['Float']['output'];
  readonly y: Scalars['Float']['output'];
  readonly width: Scalars['Float']['output'];
  readonly height: Scalars['Float']['output'];
};

/** The classes present but the background. Masks are argmax over classes (with one channel: probability ≥ minScore); minScore drops whole segments by mean pixel probability. */
export type Segmentation = {
  readonly __typename?: 'Segmentation';
  readonly width: Scalars['Int']['output'];
  readonly height: Scalars['Int']['output'];
  readonly segments: ReadonlyArray<Segment>;
};

export type Segment = {
  readonly __typename?: 'Segment';
  readonly label: Scalars['String']['output'];
  readonly index: Scalars['Int']['output'];
  readonly score?: Maybe<Scalars['Float']['output']>;
  readonly areaFraction: Scalars['Float']['output'];
  readonly box: Box;
  /** COCO run-length encoding, column-major, of a width × height mask: the compressed string that COCO's tools call `counts`. */
  readonly rle: Scalars['String']['output'];
  /** The same mask as a 1-bit PNG, base64. */
  readonly png: Scalars['String']['output'];
};


export type SegmentBoxArgs = {
  space: CoordinateSpace;
};

/** What was done for one inference field and what it cost: billed = served. */
export type Receipt = {
  readonly __typename?: 'Receipt';
  readonly requestId: Scalars['ID']['output'];
  readonly model: Scalars['String']['output'];
  readonly version: Scalars['Int']['output'];
  readonly compression: Compression;
  readonly device: Scalars['String']['output'];
  readonly images: Scalars['Int']['output'];
  readonly units: Scalars['Int']['output'];
  readonly cachedImages: Scalars['Int']['output'];
  readonly replayed: Scalars['Boolean']['output'];
  readonly batchSize: Scalars['Int']['output'];
  readonly timings: Timings;
  readonly quota: QuotaState;
};

export type Timings = {
  readonly __typename?: 'Timings';
  readonly totalMs: Scalars['Float']['output'];
  readonly decodeMs: Scalars['Float']['output'];
  readonly queueMs: Scalars['Float']['output'];
  readonly inferenceMs: Scalars['Float']['output'];
  readonly postprocessMs: Scalars['Float']['output'];
};

export type Model = Node & {
  readonly __typename?: 'Model';
  readonly id: Scalars['ID']['output'];
  readonly name: Scalars['String']['output'];
  readonly version: Scalars['Int']['output'];
  readonly task: Task;
  readonly labels: ReadonlyArray<Scalars['String']['output']>;
  readonly license?: Maybe<Scalars['String']['output']>;
  readonly description?: Maybe<Scalars['String']['output']>;
  readonly inputWidth: Scalars['Int']['output'];
  readonly inputHeight: Scalars['Int']['output'];
  readonly variants: ReadonlyArray<ModelVariant>;
  readonly isPublic: Scalars['Boolean']['output'];
};

export type ModelVariant = {
  readonly __typename?: 'ModelVariant';
  readonly compression: Compression;
  readonly sizeBytes: Scalars['BigInt']['output'];
  readonly unitsPerImage: Scalars['Int']['output'];
  /** Measured against NONE on a labelled or calibration set when the variant was made; null for NONE. */
  readonly report?: Maybe<CompressionReport>;
};

export type CompressionReport = {
  readonly __typename?: 'CompressionReport';
  readonly dataset: Scalars['String']['output'];
  readonly samples: Scalars['Int']['output'];
  readonly accuracyDelta?: Maybe<Scalars['Float']['output']>;
  readonly agreement: Scalars['Float']['output'];
  readonly speedup: Scalars['Float']['output'];
  readonly sizeRatio: Scalars['Float']['output'];
  readonly sparsity?: Maybe<Scalars['Float']['output']>;
};

export type ModelConnection = {
  readonly __typename?: 'ModelConnection';
  readonly edges: ReadonlyArray<ModelEdge>;
  readonly pageInfo: PageInfo;
  readonly totalCount: Scalars['Int']['output'];
};

export type ModelEdge = {
  readonly __typename?: 'ModelEdge';
  readonly cursor: Scalars['String']['output'];
  readonly node: Model;
};

export type SignInInput = {
  readonly email: Scalars['String']['input'];
  readonly password: Scalars['String']['input'];
};

export type SignInPayload = {
  readonly __typename?: 'SignInPayload';
  readonly token: Scalars['String']['output'];
  readonly expiresAt: Scalars['DateTime']['output'];
  readonly refreshToken: Scalars['String']['output'];
  readonly refreshExpiresAt: Scalars['DateTime']['output'];
  readonly viewer: Viewer;
};

export type Viewer = {
  readonly __typename?: 'Viewer';
  readonly tenant: Tenant;
  readonly principal: Scalars['String']['output'];
  readonly scopes: ReadonlyArray<Scope>;
};

/** A key's scopes are within its creator's. ADMIN reaches beyond one's own tenant only for members and keys of the operator's tenant (the initial one). */
export type Scope =
  | 'INFER'
  | 'MODELS_READ'
  | 'MODELS_WRITE'
  | 'USAGE_READ'
  | 'KEYS_WRITE'
  | 'BILLING'
  | 'TRAINING'
  | 'ADMIN';

export type Tenant = Node & {
  readonly __typename?: 'Tenant';
  readonly id: Scalars['ID']['output'];
  readonly name: Scalars['String']['output'];
  readonly plan: Plan;
};

/** pointsPerSecond and burst count query cost (see the end); weight is the share in a saturated pool. */
export type Plan = {
  readonly __typename?: 'Plan';
  readonly name: Scalars['String']['output'];
  readonly monthlyUnits?: Maybe<Scalars['BigInt']['output']>;
  readonly hardLimit: Scalars['Boolean']['output'];
  readonly pointsPerSecond: Scalars['Float']['output'];
  readonly burst: Scalars['Int']['output'];
  readonly concurrency: Scalars['Int']['output'];
  readonly weight: Scalars['Int']['output'];
};

export type CreateUploadInput = {
  readonly contentType: Scalars['String']['input'];
  readonly bytes: Scalars['BigInt']['input'];
  readonly sha256?: InputMaybe<Scalars['String']['input']>;
};

export type Upload = {
  readonly __typename?: 'Upload';
  readonly id: Scalars['ID']['output'];
  readonly url: Scalars['URL']['output'];
  readonly expiresAt: Scalars['DateTime']['output'];
};

/** `limit` null: unlimited. */
export type QuotaState = {
  readonly __typename?: 'QuotaState';
  readonly meter: Scalars['String']['output'];
  readonly limit?: Maybe<Scalars['BigInt']['output']>;
  readonly used: Scalars['BigInt']['output'];
  readonly reserved: Scalars['BigInt']['output'];
  readonly remaining?: Maybe<Scalars['BigInt']['output']>;
  readonly resetsAt: Scalars['DateTime']['output'];
};

export type UsageBucket =
  | 'HOUR'
  | 'DAY'
  | 'MONTH';

export type UsageDimension =
  | 'API_KEY'
  | 'MODEL'
  | 'COMPRESSION'
  | 'OPERATION';

export type UsagePoint = {
  readonly __typename?: 'UsagePoint';
  readonly start: Scalars['DateTime']['output'];
  readonly apiKeyId?: Maybe<Scalars['ID']['output']>;
  readonly model?: Maybe<Scalars['String']['output']>;
  readonly compression?: Maybe<Compression>;
  readonly operation?: Maybe<Scalars['String']['output']>;
  readonly requests: Scalars['BigInt']['output'];
  readonly images: Scalars['BigInt']['output'];
  readonly units: Scalars['BigInt']['output'];
  readonly errors: Scalars['BigInt']['output'];
  readonly p50Ms?: Maybe<Scalars['Float']['output']>;
  readonly p95Ms?: Maybe<Scalars['Float']['output']>;
};



export type ResolverTypeWrapper<T> = Promise<T> | T;


export type ResolverWithResolve<TResult, TParent, TContext, TArgs> = {
  resolve: ResolverFn<TResult, TParent, TContext, TArgs>;
};
export type Resolver<TResult, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> = ResolverFn<TResult, TParent, TContext, TArgs> | ResolverWithResolve<TResult, TParent, TContext, TArgs>;

export type ResolverFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => Promise<TResult> | TResult;

export type SubscriptionSubscribeFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => AsyncIterable<TResult> | Promise<AsyncIterable<TResult>>;

export type SubscriptionResolveFn<TResult, TParent, TContext, TArgs> = (
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => TResult | Promise<TResult>;

export interface SubscriptionSubscriberObject<TResult, TKey extends string, TParent, TContext, TArgs> {
  subscribe: SubscriptionSubscribeFn<{ [key in TKey]: TResult }, TParent, TContext, TArgs>;
  resolve?: SubscriptionResolveFn<TResult, { [key in TKey]: TResult }, TContext, TArgs>;
}

export interface SubscriptionResolverObject<TResult, TParent, TContext, TArgs> {
  subscribe: SubscriptionSubscribeFn<any, TParent, TContext, TArgs>;
  resolve: SubscriptionResolveFn<TResult, any, TContext, TArgs>;
}

export type SubscriptionObject<TResult, TKey extends string, TParent, TContext, TArgs> =
  | SubscriptionSubscriberObject<TResult, TKey, TParent, TContext, TArgs>
  | SubscriptionResolverObject<TResult, TParent, TContext, TArgs>;

export type SubscriptionResolver<TResult, TKey extends string, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> =
  | ((...args: any[]) => SubscriptionObject<TResult, TKey, TParent, TContext, TArgs>)
  | SubscriptionObject<TResult, TKey, TParent, TContext, TArgs>;

export type TypeResolveFn<TTypes, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>> = (
  parent: TParent,
  context: TContext,
  info: GraphQLResolveInfo
) => Maybe<TTypes> | Promise<Maybe<TTypes>>;

export type IsTypeOfResolverFn<T = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>> = (obj: T, context: TContext, info: GraphQLResolveInfo) => boolean | Promise<boolean>;

export type NextResolverFn<T> = () => Promise<T>;

export type DirectiveResolverFn<TResult = Record<PropertyKey, never>, TParent = Record<PropertyKey, never>, TContext = Record<PropertyKey, never>, TArgs = Record<PropertyKey, never>> = (
  next: NextResolverFn<TResult>,
  parent: TParent,
  args: TArgs,
  context: TContext,
  info: GraphQLResolveInfo
) => TResult | Promise<TResult>;



/** Mapping of union types */
export type ResolversUnionTypes<_RefType extends Record<string, unknown>> = {
  ClassifyResult:
    | ( ClassifiedImage )
    | ( FailedImage )
  ;
  DetectResult:
    | ( DetectedImage )
    | ( FailedImage )
  ;
  SegmentResult:
    | ( SegmentedImage )
    | ( FailedImage )
  ;
};

/** Mapping of interface types */
export type ResolversInterfaceTypes<_RefType extends Record<string, unknown>> = {
  Node:
    | ( ApiKeyRecord )
    | ( ServedModel )
    | ( TenantRecord )
  ;
};

/** Mapping between all available schema types and the resolvers types */
export type ResolversTypes = {
  Query: ResolverTypeWrapper<Record<PropertyKey, never>>;
  Int: ResolverTypeWrapper<Scalars['Int']['output']>;
  String: ResolverTypeWrapper<Scalars['String']['output']>;
  Boolean: ResolverTypeWrapper<Scalars['Boolean']['output']>;
  ID: ResolverTypeWrapper<Scalars['ID']['output']>;
  Mutation: ResolverTypeWrapper<Record<PropertyKey, never>>;
  CreateApiKeyInput: CreateApiKeyInput;
  CreateApiKeyPayload: ResolverTypeWrapper<CreatedApiKey>;
  ApiKey: ResolverTypeWrapper<ApiKeyRecord>;
  ApiKeyConnection: ResolverTypeWrapper<Omit<ApiKeyConnection, 'edges'> & { edges: ReadonlyArray<ResolversTypes['ApiKeyEdge']> }>;
  ApiKeyEdge: ResolverTypeWrapper<Omit<ApiKeyEdge, 'node'> & { node: ResolversTypes['ApiKey'] }>;
  DateTime: ResolverTypeWrapper<Scalars['DateTime']['output']>;
  URL: ResolverTypeWrapper<Scalars['URL']['output']>;
  BigInt: ResolverTypeWrapper<Scalars['BigInt']['output']>;
  Node: ResolverTypeWrapper<ResolversInterfaceTypes<ResolversTypes>['Node']>;
  PageInfo: ResolverTypeWrapper<PageInfo>;
  InvoicePreview: ResolverTypeWrapper<InvoicePreview>;
  InvoiceLine: ResolverTypeWrapper<InvoiceLine>;
  CreateClientTokenInput: CreateClientTokenInput;
  ClientToken: ResolverTypeWrapper<ClientToken>;
  Task: Task;
  Compression: Compression;
  Priority: Priority;
  ImageInput: ImageInput;
  AutoCompressionInput: AutoCompressionInput;
  Float: ResolverTypeWrapper<Scalars['Float']['output']>;
  ClassifyInput: ClassifyInput;
  DetectInput: DetectInput;
  SegmentInput: SegmentInput;
  ClassifyPayload: ResolverTypeWrapper<ClassifyAnswer>;
  DetectPayload: ResolverTypeWrapper<DetectAnswer>;
  SegmentPayload: ResolverTypeWrapper<SegmentAnswer>;
  ClassifyResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['ClassifyResult']>;
  DetectResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['DetectResult']>;
  SegmentResult: ResolverTypeWrapper<ResolversUnionTypes<ResolversTypes>['SegmentResult']>;
  ImageErrorCode: ImageErrorCode;
  ImageError: ResolverTypeWrapper<FailedImage>;
  Classification: ResolverTypeWrapper<ClassifiedImage>;
  LabelScore: ResolverTypeWrapper<LabelScore>;
  Detection: ResolverTypeWrapper<DetectedImage>;
  DetectedObject: ResolverTypeWrapper<DetectedObjectInPicture>;
  CoordinateSpace: CoordinateSpace;
  Box: ResolverTypeWrapper<Box>;
  Segmentation: ResolverTypeWrapper<SegmentedImage>;
  Segment: ResolverTypeWrapper<SegmentInPicture>;
  Receipt: ResolverTypeWrapper<Receipt>;
  Timings: ResolverTypeWrapper<Timings>;
  Model: ResolverTypeWrapper<ServedModel>;
  ModelVariant: ResolverTypeWrapper<StoredVariant>;
  CompressionReport: ResolverTypeWrapper<CompressionReport>;
  ModelConnection: ResolverTypeWrapper<Omit<ModelConnection, 'edges'> & { edges: ReadonlyArray<ResolversTypes['ModelEdge']> }>;
  ModelEdge: ResolverTypeWrapper<Omit<ModelEdge, 'node'> & { node: ResolversTypes['Model'] }>;
  SignInInput: SignInInput;
  SignInPayload: ResolverTypeWrapper<Session>;
  Viewer: ResolverTypeWrapper<Principal>;
  Scope: Scope;
  Tenant: ResolverTypeWrapper<TenantRecord>;
  Plan: ResolverTypeWrapper<Plan>;
  CreateUploadInput: CreateUploadInput;
  Upload: ResolverTypeWrapper<Upload>;
  QuotaState: ResolverTypeWrapper<QuotaState>;
  UsageBucket: UsageBucket;
  UsageDimension: UsageDimension;
  UsagePoint: ResolverTypeWrapper<BookedUsage>;
};

/** Mapping between all available schema types and the resolvers parents */
export type ResolversParentTypes = {
  Query: Record<PropertyKey, never>;
  Int: Scalars['Int']['output'];
  String: Scalars['String']['output'];
  Boolean: Scalars['Boolean']['output'];
  ID: Scalars['ID']['output'];
  Mutation: Record<PropertyKey, never>;
  CreateApiKeyInput: CreateApiKeyInput;
  CreateApiKeyPayload: CreatedApiKey;
  ApiKey: ApiKeyRecord;
  ApiKeyConnection: Omit<ApiKeyConnection, 'edges'> & { edges: ReadonlyArray<ResolversParentTypes['ApiKeyEdge']> };
  ApiKeyEdge: Omit<ApiKeyEdge, 'node'> & { node: ResolversParentTypes['ApiKey'] };
  DateTime: Scalars['DateTime']['output'];
  URL: Scalars['URL']['output'];
  BigInt: Scalars['BigInt']['output'];
  Node: ResolversInterfaceTypes<ResolversParentTypes>['Node'];
  PageInfo: PageInfo;
  InvoicePreview: InvoicePreview;
  InvoiceLine: InvoiceLine;
  CreateClientTokenInput: CreateClientTokenInput;
  ClientToken: ClientToken;
  ImageInput: ImageInput;
  AutoCompressionInput: AutoCompressionInput;
  Float: Scalars['Float']['output'];
  ClassifyInput: ClassifyInput;
  DetectInput: DetectInput;
  SegmentInput: SegmentInput;
  ClassifyPayload: ClassifyAnswer;
  DetectPayload: DetectAnswer;
  SegmentPayload: SegmentAnswer;
  ClassifyResult: ResolversUnionTypes<ResolversParentTypes>['ClassifyResult'];
  DetectResult: ResolversUnionTypes<ResolversParentTypes>['DetectResult'];
  SegmentResult: ResolversUnionTypes<ResolversParentTypes>['SegmentResult'];
  ImageError: FailedImage;
  Classification: ClassifiedImage;
  LabelScore: LabelScore;
  Detection: DetectedImage;
  DetectedObject: DetectedObjectInPicture;
  Box: Box;
  Segmentation: SegmentedImage;
  Segment: SegmentInPicture;
  Receipt: Receipt;
  Timings: Timings;
  Model: ServedModel;
  ModelVariant: StoredVariant;
  CompressionReport: CompressionReport;
  ModelConnection: Omit<ModelConnection, 'edges'> & { edges: ReadonlyArray<ResolversParentTypes['ModelEdge']> };
  ModelEdge: Omit<ModelEdge, 'node'> & { node: ResolversParentTypes['Model'] };
  SignInInput: SignInInput;
  SignInPayload: Session;
  Viewer: Principal;
  Tenant: TenantRecord;
  Plan: Plan;
  CreateUploadInput: CreateUploadInput;
  Upload: Upload;
  QuotaState: QuotaState;
  UsagePoint: BookedUsage;
};

export type QueryResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Query'] = ResolversParentTypes['Query']> = {
  apiKeys?: Resolver<ResolversTypes['ApiKeyConnection'], ParentType, ContextType, RequireFields<QueryApiKeysArgs, 'first' | 'includeRevoked'>>;
  node?: Resolver<Maybe<ResolversTypes['Node']>, ParentType, ContextType, RequireFields<QueryNodeArgs, 'id'>>;
  invoicePreview?: Resolver<ResolversTypes['InvoicePreview'], ParentType, ContextType>;
  model?: Resolver<Maybe<ResolversTypes['Model']>, ParentType, ContextType, RequireFields<QueryModelArgs, 'name'>>;
  models?: Resolver<ResolversTypes['ModelConnection'], ParentType, ContextType, RequireFields<QueryModelsArgs, 'first'>>;
  viewer?: Resolver<ResolversTypes['Viewer'], ParentType, ContextType>;
  usage?: Resolver<ReadonlyArray<ResolversTypes['UsagePoint']>, ParentType, ContextType, RequireFields<QueryUsageArgs, 'from' | 'to' | 'bucket' | 'groupBy'>>;
  quota?: Resolver<ResolversTypes['QuotaState'], ParentType, ContextType>;
};

export type MutationResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Mutation'] = ResolversParentTypes['Mutation']> = {
  createApiKey?: Resolver<ResolversTypes['CreateApiKeyPayload'], ParentType, ContextType, RequireFields<MutationCreateApiKeyArgs, 'input'>>;
  rotateApiKey?: Resolver<ResolversTypes['CreateApiKeyPayload'], ParentType, ContextType, RequireFields<MutationRotateApiKeyArgs, 'id' | 'graceSeconds'>>;
  revokeApiKey?: Resolver<ResolversTypes['ApiKey'], ParentType, ContextType, RequireFields<MutationRevokeApiKeyArgs, 'id'>>;
  createClientToken?: Resolver<ResolversTypes['ClientToken'], ParentType, ContextType, RequireFields<MutationCreateClientTokenArgs, 'input'>>;
  classify?: Resolver<ResolversTypes['ClassifyPayload'], ParentType, ContextType, RequireFields<MutationClassifyArgs, 'input'>>;
  detect?: Resolver<ResolversTypes['DetectPayload'], ParentType, ContextType, RequireFields<MutationDetectArgs, 'input'>>;
  segment?: Resolver<ResolversTypes['SegmentPayload'], ParentType, ContextType, RequireFields<MutationSegmentArgs, 'input'>>;
  signIn?: Resolver<ResolversTypes['SignInPayload'], ParentType, ContextType, RequireFields<MutationSignInArgs, 'input'>>;
  refresh?: Resolver<ResolversTypes['SignInPayload'], ParentType, ContextType, RequireFields<MutationRefreshArgs, 'refreshToken'>>;
  signOut?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  createUpload?: Resolver<ResolversTypes['Upload'], ParentType, ContextType, RequireFields<MutationCreateUploadArgs, 'input'>>;
};

export type CreateApiKeyPayloadResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['CreateApiKeyPayload'] = ResolversParentTypes['CreateApiKeyPayload']> = {
  apiKey?: Resolver<ResolversTypes['ApiKey'], ParentType, ContextType>;
  secret?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
};

export type ApiKeyResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ApiKey'] = ResolversParentTypes['ApiKey']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  prefix?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  scopes?: Resolver<ReadonlyArray<ResolversTypes['Scope']>, ParentType, ContextType>;
  createdAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  lastUsedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  expiresAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  revokedAt?: Resolver<Maybe<ResolversTypes['DateTime']>, ParentType, ContextType>;
  usage?: Resolver<ResolversTypes['UsagePoint'], ParentType, ContextType, RequireFields<ApiKeyUsageArgs, 'from' | 'to'>>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ApiKeyConnectionResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ApiKeyConnection'] = ResolversParentTypes['ApiKeyConnection']> = {
  edges?: Resolver<ReadonlyArray<ResolversTypes['ApiKeyEdge']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type ApiKeyEdgeResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ApiKeyEdge'] = ResolversParentTypes['ApiKeyEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['ApiKey'], ParentType, ContextType>;
};

export interface DateTimeScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['DateTime'], any> {
  name: 'DateTime';
}

export interface UrlScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['URL'], any> {
  name: 'URL';
}

export interface BigIntScalarConfig extends GraphQLScalarTypeConfig<ResolversTypes['BigInt'], any> {
  name: 'BigInt';
}

export type NodeResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Node'] = ResolversParentTypes['Node']> = {
  __resolveType: TypeResolveFn<'ApiKey' | 'Model' | 'Tenant', ParentType, ContextType>;
};

export type PageInfoResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['PageInfo'] = ResolversParentTypes['PageInfo']> = {
  hasNextPage?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  endCursor?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
};

export type InvoicePreviewResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['InvoicePreview'] = ResolversParentTypes['InvoicePreview']> = {
  periodStart?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  periodEnd?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  currency?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  totalCents?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  lines?: Resolver<ReadonlyArray<ResolversTypes['InvoiceLine']>, ParentType, ContextType>;
};

export type InvoiceLineResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['InvoiceLine'] = ResolversParentTypes['InvoiceLine']> = {
  description?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  units?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  unitAmountDecimal?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  amountCents?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
};

export type ClientTokenResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ClientToken'] = ResolversParentTypes['ClientToken']> = {
  token?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  expiresAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type ClassifyPayloadResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ClassifyPayload'] = ResolversParentTypes['ClassifyPayload']> = {
  results?: Resolver<ReadonlyArray<ResolversTypes['ClassifyResult']>, ParentType, ContextType>;
  receipt?: Resolver<ResolversTypes['Receipt'], ParentType, ContextType>;
};

export type DetectPayloadResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['DetectPayload'] = ResolversParentTypes['DetectPayload']> = {
  results?: Resolver<ReadonlyArray<ResolversTypes['DetectResult']>, ParentType, ContextType>;
  receipt?: Resolver<ResolversTypes['Receipt'], ParentType, ContextType>;
};

export type SegmentPayloadResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['SegmentPayload'] = ResolversParentTypes['SegmentPayload']> = {
  results?: Resolver<ReadonlyArray<ResolversTypes['SegmentResult']>, ParentType, ContextType>;
  receipt?: Resolver<ResolversTypes['Receipt'], ParentType, ContextType>;
};

export type ClassifyResultResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ClassifyResult'] = ResolversParentTypes['ClassifyResult']> = {
  __resolveType: TypeResolveFn<'Classification' | 'ImageError', ParentType, ContextType>;
};

export type DetectResultResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['DetectResult'] = ResolversParentTypes['DetectResult']> = {
  __resolveType: TypeResolveFn<'Detection' | 'ImageError', ParentType, ContextType>;
};

export type SegmentResultResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['SegmentResult'] = ResolversParentTypes['SegmentResult']> = {
  __resolveType: TypeResolveFn<'Segmentation' | 'ImageError', ParentType, ContextType>;
};

export type ImageErrorResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ImageError'] = ResolversParentTypes['ImageError']> = {
  code?: Resolver<ResolversTypes['ImageErrorCode'], ParentType, ContextType>;
  message?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ClassificationResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Classification'] = ResolversParentTypes['Classification']> = {
  width?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  height?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  labels?: Resolver<ReadonlyArray<ResolversTypes['LabelScore']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type LabelScoreResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['LabelScore'] = ResolversParentTypes['LabelScore']> = {
  label?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  index?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  score?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
};

export type DetectionResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Detection'] = ResolversParentTypes['Detection']> = {
  width?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  height?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  objects?: Resolver<ReadonlyArray<ResolversTypes['DetectedObject']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type DetectedObjectResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['DetectedObject'] = ResolversParentTypes['DetectedObject']> = {
  label?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  index?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  score?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  box?: Resolver<ResolversTypes['Box'], ParentType, ContextType, RequireFields<DetectedObjectBoxArgs, 'space'>>;
};

export type BoxResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Box'] = ResolversParentTypes['Box']> = {
  x?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  y?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  width?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  height?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
};

export type SegmentationResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Segmentation'] = ResolversParentTypes['Segmentation']> = {
  width?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  height?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  segments?: Resolver<ReadonlyArray<ResolversTypes['Segment']>, ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type SegmentResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Segment'] = ResolversParentTypes['Segment']> = {
  label?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  index?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  score?: Resolver<Maybe<ResolversTypes['Float']>, ParentType, ContextType>;
  areaFraction?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  box?: Resolver<ResolversTypes['Box'], ParentType, ContextType, RequireFields<SegmentBoxArgs, 'space'>>;
  rle?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  png?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
};

export type ReceiptResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Receipt'] = ResolversParentTypes['Receipt']> = {
  requestId?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  model?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  compression?: Resolver<ResolversTypes['Compression'], ParentType, ContextType>;
  device?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  images?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  units?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  cachedImages?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  replayed?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  batchSize?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  timings?: Resolver<ResolversTypes['Timings'], ParentType, ContextType>;
  quota?: Resolver<ResolversTypes['QuotaState'], ParentType, ContextType>;
};

export type TimingsResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Timings'] = ResolversParentTypes['Timings']> = {
  totalMs?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  decodeMs?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  queueMs?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  inferenceMs?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  postprocessMs?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
};

export type ModelResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Model'] = ResolversParentTypes['Model']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  version?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  task?: Resolver<ResolversTypes['Task'], ParentType, ContextType>;
  labels?: Resolver<ReadonlyArray<ResolversTypes['String']>, ParentType, ContextType>;
  license?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  description?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  inputWidth?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  inputHeight?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  variants?: Resolver<ReadonlyArray<ResolversTypes['ModelVariant']>, ParentType, ContextType>;
  isPublic?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type ModelVariantResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ModelVariant'] = ResolversParentTypes['ModelVariant']> = {
  compression?: Resolver<ResolversTypes['Compression'], ParentType, ContextType>;
  sizeBytes?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  unitsPerImage?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  report?: Resolver<Maybe<ResolversTypes['CompressionReport']>, ParentType, ContextType>;
};

export type CompressionReportResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['CompressionReport'] = ResolversParentTypes['CompressionReport']> = {
  dataset?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  samples?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  accuracyDelta?: Resolver<Maybe<ResolversTypes['Float']>, ParentType, ContextType>;
  agreement?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  speedup?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  sizeRatio?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  sparsity?: Resolver<Maybe<ResolversTypes['Float']>, ParentType, ContextType>;
};

export type ModelConnectionResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ModelConnection'] = ResolversParentTypes['ModelConnection']> = {
  edges?: Resolver<ReadonlyArray<ResolversTypes['ModelEdge']>, ParentType, ContextType>;
  pageInfo?: Resolver<ResolversTypes['PageInfo'], ParentType, ContextType>;
  totalCount?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type ModelEdgeResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['ModelEdge'] = ResolversParentTypes['ModelEdge']> = {
  cursor?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  node?: Resolver<ResolversTypes['Model'], ParentType, ContextType>;
};

export type SignInPayloadResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['SignInPayload'] = ResolversParentTypes['SignInPayload']> = {
  token?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  expiresAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  refreshToken?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  refreshExpiresAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  viewer?: Resolver<ResolversTypes['Viewer'], ParentType, ContextType>;
};

export type ViewerResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Viewer'] = ResolversParentTypes['Viewer']> = {
  tenant?: Resolver<ResolversTypes['Tenant'], ParentType, ContextType>;
  principal?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  scopes?: Resolver<ReadonlyArray<ResolversTypes['Scope']>, ParentType, ContextType>;
};

export type TenantResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Tenant'] = ResolversParentTypes['Tenant']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  plan?: Resolver<ResolversTypes['Plan'], ParentType, ContextType>;
  __isTypeOf?: IsTypeOfResolverFn<ParentType, ContextType>;
};

export type PlanResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Plan'] = ResolversParentTypes['Plan']> = {
  name?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  monthlyUnits?: Resolver<Maybe<ResolversTypes['BigInt']>, ParentType, ContextType>;
  hardLimit?: Resolver<ResolversTypes['Boolean'], ParentType, ContextType>;
  pointsPerSecond?: Resolver<ResolversTypes['Float'], ParentType, ContextType>;
  burst?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  concurrency?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
  weight?: Resolver<ResolversTypes['Int'], ParentType, ContextType>;
};

export type UploadResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['Upload'] = ResolversParentTypes['Upload']> = {
  id?: Resolver<ResolversTypes['ID'], ParentType, ContextType>;
  url?: Resolver<ResolversTypes['URL'], ParentType, ContextType>;
  expiresAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type QuotaStateResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['QuotaState'] = ResolversParentTypes['QuotaState']> = {
  meter?: Resolver<ResolversTypes['String'], ParentType, ContextType>;
  limit?: Resolver<Maybe<ResolversTypes['BigInt']>, ParentType, ContextType>;
  used?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  reserved?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  remaining?: Resolver<Maybe<ResolversTypes['BigInt']>, ParentType, ContextType>;
  resetsAt?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
};

export type UsagePointResolvers<ContextType = GraphqlContext, ParentType extends ResolversParentTypes['UsagePoint'] = ResolversParentTypes['UsagePoint']> = {
  start?: Resolver<ResolversTypes['DateTime'], ParentType, ContextType>;
  apiKeyId?: Resolver<Maybe<ResolversTypes['ID']>, ParentType, ContextType>;
  model?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  compression?: Resolver<Maybe<ResolversTypes['Compression']>, ParentType, ContextType>;
  operation?: Resolver<Maybe<ResolversTypes['String']>, ParentType, ContextType>;
  requests?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  images?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  units?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  errors?: Resolver<ResolversTypes['BigInt'], ParentType, ContextType>;
  p50Ms?: Resolver<Maybe<ResolversTypes['Float']>, ParentType, ContextType>;
  p95Ms?: Resolver<Maybe<ResolversTypes['Float']>, ParentType, ContextType>;
};

export type Resolvers<ContextType = GraphqlContext> = {
  Query?: QueryResolvers<ContextType>;
  Mutation?: MutationResolvers<ContextType>;
  CreateApiKeyPayload?: CreateApiKeyPayloadResolvers<ContextType>;
  ApiKey?: ApiKeyResolvers<ContextType>;
  ApiKeyConnection?: ApiKeyConnectionResolvers<ContextType>;
  ApiKeyEdge?: ApiKeyEdgeResolvers<ContextType>;
  DateTime?: GraphQLScalarType;
  URL?: GraphQLScalarType;
  BigInt?: GraphQLScalarType;
  Node?: NodeResolvers<ContextType>;
  PageInfo?: PageInfoResolvers<ContextType>;
  InvoicePreview?: InvoicePreviewResolvers<ContextType>;
  InvoiceLine?: InvoiceLineResolvers<ContextType>;
  ClientToken?: ClientTokenResolvers<ContextType>;
  ClassifyPayload?: ClassifyPayloadResolvers<ContextType>;
  DetectPayload?: DetectPayloadResolvers<ContextType>;
  SegmentPayload?: SegmentPayloadResolvers<ContextType>;
  ClassifyResult?: ClassifyResultResolvers<ContextType>;
  DetectResult?: DetectResultResolvers<ContextType>;
  SegmentResult?: SegmentResultResolvers<ContextType>;
  ImageError?: ImageErrorResolvers<ContextType>;
  Classification?: ClassificationResolvers<ContextType>;
  LabelScore?: LabelScoreResolvers<ContextType>;
  Detection?: DetectionResolvers<ContextType>;
  DetectedObject?: DetectedObjectResolvers<ContextType>;
  Box?: BoxResolvers<ContextType>;
  Segmentation?: SegmentationResolvers<ContextType>;
  Segment?: SegmentResolvers<ContextType>;
  Receipt?: ReceiptResolvers<ContextType>;
  Timings?: TimingsResolvers<ContextType>;
  Model?: ModelResolvers<ContextType>;
  ModelVariant?: ModelVariantResolvers<ContextType>;
  CompressionReport?: CompressionReportResolvers<ContextType>;
  ModelConnection?: ModelConnectionResolvers<ContextType>;
  ModelEdge?: ModelEdgeResolvers<ContextType>;
  SignInPayload?: SignInPayloadResolvers<ContextType>;
  Viewer?: ViewerResolvers<ContextType>;
  Tenant?: TenantResolvers<ContextType>;
  Plan?: PlanResolvers<ContextType>;
  Upload?: UploadResolvers<ContextType>;
  QuotaState?: QuotaStateResolvers<ContextType>;
  UsagePoint?: UsagePointResolvers<ContextType>;
};

