import { migrate } from './migrate.ts';

/**
 * Brings the database at `url` to the present schema: by the login of `migrateUrl` where there is one, which then lets the
 * login of `url` serve.
 *
 * @returns the names of the migrations it lacked, in order
 */
export function migrateInstallation(url: string, migrateUrl: string | null): Promise<string[]> {
  if (migrateUrl === null) return migrate(url);
  return migrate(migrateUrl, { appLogin: decodeURIComponent(new URL(url).username) });
}
