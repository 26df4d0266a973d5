import { LRUCache } from 'lru-cache';

const MOST = 1_000;

/** What is known of variants, by their key; of more than a thousand the one that was not asked about for longest is forgotten. */
export function recentVariants<Known extends object>(): LRUCache<string, Known> {
  return new LRUCache<string, Known>({ max: MOST });
}
