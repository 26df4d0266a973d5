import type { Invoices } from '../billing/invoices.ts';
import type { InferenceService } from '../inference/service.ts';
import type { Logger } from '../lib/logger.ts';
import type { Span } from '../lib/tracing/span.ts';
import type { Ledger } from '../metering/ledger.ts';
import type { UsageReader } from '../metering/usage.ts';
import type { UsageExport } from '../metering/usage-export.ts';
import type { ModelRegistry } from '../models/registry.ts';
import type { AllowedOrigins } from '../tenants/allowed-origins.ts';
import type { ApiKeys } from '../tenants/api-keys.ts';
import type { Authenticator } from '../tenants/authenticator.ts';
import type { ClientTokens } from '../tenants/client-tokens.ts';
import type { RateLimiter } from '../tenants/rate-limiter.ts';
import type { Sessions } from '../tenants/sessions.ts';
import type { Principal } from '../tenants/types.ts';
import type { Uploads } from '../uploads/uploads.ts';

/** What resolvers call. Each is used through the methods it declares publicly, so a test may hand in the few it needs. */
export interface Services {
  readonly authenticator: Pick<Authenticator, 'authenticate'>;
  readonly apiKeys: Pick<ApiKeys, 'create' | 'rotate' | 'revoke' | 'list' | 'get'>;
  readonly clientTokens: Pick<ClientTokens, 'mint' | 'budget'>;
  readonly origins: Pick<AllowedOrigins, 'allows'>;
  readonly sessions: Pick<Sessions, 'signIn' | 'refresh' | 'signOut'>;
  readonly ledger: Pick<Ledger, 'quota'>;
  readonly usage: Pick<UsageReader, 'usage' | 'ofApiKey'>;
  readonly usageExport: Pick<UsageExport, 'pages'>;
  readonly invoices: Pick<Invoices, 'preview'>;
  readonly models: Pick<ModelRegistry, 'resolve' | 'list' | 'get'>;
  readonly inference: Pick<InferenceService, 'classify' | 'detect' | 'segment' | 'maskPng' | 'requireRoom'>;
  readonly uploads: Pick<Uploads, 'create' | 'present' | 'receive'>;
  readonly rateLimiter: RateLimiter;
}

/** What one HTTP request leaves in its log line and in the metrics. */
export interface RequestRecord {
  operationName: string | null;
  /** Query points; null where nothing was executed. */
  cost: number | null;
  /** `extensions.code` of every error answered. */
  codes: readonly string[];
}

/** One HTTP request, as resolvers see it. */
export interface GraphqlContext {
  /** null: no credential was presented. */
  readonly principal: Principal | null;
  /** A UUIDv7: `extensions.requestId` and the header `x-request-id`. */
  readonly requestId: string;
  readonly clientAddress: string;
  /** Where the client reaches this service, without a slash at its end; null: it names no valid host. */
  readonly publicUrl: string | null;
  /** Aborts when the client hangs up before the answer is out. */
  readonly signal: AbortSignal;
  readonly services: Services;
  /** Carries the request id. */
  readonly logger: Logger;
  /** Of the HTTP request. */
  readonly span: Span;
  readonly record: RequestRecord;
}
