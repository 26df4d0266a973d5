import type { Request } from 'express';

/**
 * Where the client reaches this service, without a slash at its end: as set, else as the request says, that is by the client's
 * own word or that of a trusted proxy. null: what they name is no host.
 */
export function publicUrlOf(request: Request, setting: string | null): string | null {
  if (setting !== null) return setting;
  const { protocol, host } = request;
  // Only what a host can look like is put into an answer.
  if (!/^https?$/.test(protocol) || !/^[\w.:[\]-]+$/.test(host ?? '')) return null;
  const url = `${protocol}://${host}`;
  return URL.canParse(url) ? url : null;
}
