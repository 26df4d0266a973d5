import { OperatorError } from '../lib/errors.ts';
import { createTenancy, type Tenancy } from '../tenants/tenancy.ts';
import type { TenantRecord } from '../tenants/types.ts';
import { type Installation, withInstallation } from './installation.ts';
import { type OutputOptions, print } from './output.ts';

export async function createTenant(
  options: OutputOptions & { name: string; plan: string; email?: string },
): Promise<void> {
  await withInstallation(async (installation) => {
    const { tenant, password } = await tenancyOf(installation).tenants.create(options);
    const owner = options.email ? `\nOwner ${options.email}, password (shown this once): ${password}` : '';
    print(options, `Tenant ${tenant.name} on plan ${tenant.plan.name}.${owner}`, {
      id: tenant.id,
      name: tenant.name,
      plan: tenant.plan.name,
      ...(options.email ? { email: options.email, password } : {}),
    });
  });
}

export async function setPlan(options: OutputOptions & { tenant: string; plan: string }): Promise<void> {
  await withInstallation(async (installation) => {
    const { id } = await tenantNamed(installation, options.tenant);
    const tenant = await tenancyOf(installation).tenants.setPlan(id, options.plan);
    print(options, `Tenant ${tenant.name} is on plan ${tenant.plan.name}, version ${tenant.plan.version}.`, {
      id: tenant.id,
      name: tenant.name,
      plan: tenant.plan.name,
      version: tenant.plan.version,
    });
  });
}

export async function setOrigins(options: OutputOptions & { name: string; origins: string }): Promise<void> {
  const origins = options.origins
    .split(',')
    .map((origin) => origin.trim())
    .filter((origin) => origin !== '');
  await withInstallation(async (installation) => {
    const { id } = await tenantNamed(installation, options.name);
    const { name, allowedOrigins } = await tenancyOf(installation).tenants.setOrigins(id, origins);
    const list = allowedOrigins.length > 0 ? allowedOrigins.join(', ') : 'no origin';
    print(options, `Tenant ${name} allows pages of ${list}.`, { id, name, allowedOrigins });
  });
}

/** @throws OperatorError that says how to create it */
export async function tenantNamed(installation: Installation, name: string): Promise<TenantRecord> {
  const tenant = await tenancyOf(installation).tenants.byName(name);
  if (!tenant)
    throw new OperatorError(
      `No tenant is named ${JSON.stringify(name)}: create it by the command tenants create.`,
    );
  return tenant;
}

export function tenancyOf({ database, notifications, logger }: Installation): Tenancy {
  return createTenancy({ database, notifications, logger });
}
