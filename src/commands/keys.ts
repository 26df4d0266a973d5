import { OperatorError } from '../lib/errors.ts';
import { isScope, SCOPES } from '../tenants/types.ts';
import { withInstallation } from './installation.ts';
import { type OutputOptions, print } from './output.ts';
import { tenancyOf, tenantNamed } from './tenants.ts';

export async function createKey(
  options: OutputOptions & { tenant: string; scopes: string; name: string },
): Promise<void> {
  const scopes = options.scopes.split(',').map((scope) => scope.trim().toUpperCase());
  const unknown = scopes.filter((scope) => !isScope(scope));
  if (unknown.length > 0) {
    throw new OperatorError(`--scopes: found ${unknown.join(', ')}, wanted some of ${SCOPES.join(', ')}.`, 2);
  }
  await withInstallation(async (installation) => {
    const tenant = await tenantNamed(installation, options.tenant);
    const { apiKey, secret } = await tenancyOf(installation).apiKeys.createForTenant(tenant.id, {
      name: options.name,
      scopes: scopes.filter(isScope),
    });
    print(options, secret, {
      id: apiKey.id,
      tenant: tenant.name,
      name: apiKey.name,
      scopes: apiKey.scopes,
      key: secret,
    });
  });
}
