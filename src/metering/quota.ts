/** A tenant's standing in one meter for one period. Numbers are units. */
export interface QuotaState {
  readonly meter: 'units';
  /** null: unlimited. */
  readonly limit: number | null;
  readonly used: number;
  /** Held for requests in flight. */
  readonly reserved: number;
  /** null: unlimited; never below zero. */
  readonly remaining: number | null;
  readonly resetsAt: Date;
}
