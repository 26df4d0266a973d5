import type { Transaction } from '../db/database.ts';
import type { Plan as PlanRow, Tenant as TenantRow } from '../db/generated/client.ts';
import type { Plan, TenantRecord } from './types.ts';

/** What a tenant is read with, so that `tenantRecord` can be made of it. */
export const withPlan = { plan: true } as const;

export function tenantRecord(tenant: TenantRow & { plan: PlanRow }): TenantRecord {
  const { id, name, isOperator, allowedOrigins, plan } = tenant;
  return { id, name, isOperator, allowedOrigins, plan: planOf(plan) };
}

/** The plan's newest version, or null. */
export async function newestPlan(tx: Transaction, name: string): Promise<PlanRow | null> {
  return tx.plan.findFirst({ where: { name }, orderBy: { version: 'desc' } });
}

function planOf({ monthlyUnits, unitAmountDecimal, createdAt: _, ...plan }: PlanRow): Plan {
  return {
    ...plan,
    monthlyUnits: monthlyUnits === null ? null : Number(monthlyUnits),
    unitAmountDecimal: unitAmountDecimal.toFixed(),
  };
}
