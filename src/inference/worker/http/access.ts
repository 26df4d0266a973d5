import { createHash, timingSafeEqual } from 'node:crypto';
import { type Answer, type Call, errorAnswer } from './call.ts';

/**
 * Why a call is refused, or null. With a token every call must carry it but the one that asks whether the process lives: an
 * orchestrator's probe has no secrets.
 */
export function refuseAccess({ path, method, headers }: Call, token: string | null): Answer | null {
  if (token !== null && path !== '/v2/health/live') {
    const [, presented] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    if (presented === undefined || !isSame(presented, token)) {
      const found = presented === undefined ? 'none' : 'another one';
      const message = `expected the worker's token as 'Authorization: Bearer <token>', found ${found}`;
      return errorAnswer(401, message, { 'www-authenticate': 'Bearer' });
    }
  }
  // A worker on this machine without a token would obey any page that is open in a browser on it: browsers send some POSTs
  // of a page without asking first, and say whose they are.
  if (headers.origin !== undefined && method !== 'GET' && method !== 'HEAD') {
    return errorAnswer(
      403,
      `a worker takes nothing from a page, and this is one of ${headers.origin.slice(0, 100)}`,
    );
  }
  return null;
}

/** In a time that tells nothing of how far they agree, nor of the token's length. */
function isSame(presented: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(presented), digest(token));
}
