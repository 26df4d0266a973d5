/** What a caller may do, in the words of the public contract. The order is the one in which scopes are listed. */
export const SCOPES = [
  'INFER',
  'MODELS_READ',
  'MODELS_WRITE',
  'USAGE_READ',
  'KEYS_WRITE',
  'BILLING',
  'TRAINING',
  'ADMIN',
] as const;
export type Scope = (typeof SCOPES)[number];

export function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

/** What a member is in its tenant; `scopesOfRole` says what that allows. */
export type Role = 'OWNER' | 'ADMIN' | 'DEVELOPER' | 'BILLING';

/** One version of a price list and its limits. */
export interface Plan {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  /** null: unlimited. */
  readonly monthlyUnits: number | null;
  /** false: units beyond `monthlyUnits` are served and billed. */
  readonly hardLimit: boolean;
  /** How fast query points come back, and how many there are at most. */
  readonly pointsPerSecond: number;
  readonly burst: number;
  /** Inference requests in flight at most. */
  readonly concurrency: number;
  /** Share of a saturated pool, relative to other tenants'. */
  readonly weight: number;
  readonly currency: string;
  readonly baseCents: bigint;
  readonly includedUnits: bigint;
  /** Cents a unit beyond the included, as a decimal without exponent. */
  readonly unitAmountDecimal: string;
}

export interface TenantRecord {
  readonly id: string;
  readonly name: string;
  /** The tenant that the first boot created: its members and keys may hold ADMIN beyond themselves. */
  readonly isOperator: boolean;
  /** The origins of other people's pages that may read this tenant's answers. */
  readonly allowedOrigins: readonly string[];
  readonly plan: Plan;
}

/** What a client token may do less than the API key that minted it. */
export interface Restriction {
  readonly tokenId: string;
  /** Each `name` or `name@version`; null: all that the key may ask for. */
  readonly models: readonly string[] | null;
  /** What it may spend in all; null: whatever the tenant may. */
  readonly maxUnits: number | null;
  /** The pages that it may be sent from; null: any, and whatever is no page. */
  readonly origins: readonly string[] | null;
}

/** Who calls: an API key or a client token of one (`apiKeyId`), or a signed-in member (`memberId` and `sessionId`), never both. */
export interface Principal {
  readonly tenant: TenantRecord;
  readonly scopes: ReadonlySet<Scope>;
  readonly apiKeyId: string | null;
  readonly memberId: string | null;
  readonly sessionId: string | null;
  /** For people: `key <name>`, `client token of key <name>`, or the member's e-mail address. */
  readonly name: string;
  /** null: it is no client token. */
  readonly restriction: Restriction | null;
}
