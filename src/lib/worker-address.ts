/** How a worker is spoken to, and how its URL really begins. */
const schemes = {
  'http:': { protocol: 'oip', url: 'http:' },
  'https:': { protocol: 'oip', url: 'https:' },
} as const;

type Scheme = keyof typeof schemes;

/** An entry of `FOVEA_WORKERS`. */
export interface WorkerAddress {
  readonly protocol: (typeof schemes)[Scheme]['protocol'];
  /** The base URL, without a slash at its end. */
  readonly url: string;
}

export const WORKER_ADDRESS_WANTED =
  'base URLs of workers, each once and without credentials, separated by commas, e.g. http://worker:8001';

/** null: it is none. */
export function parseWorkerAddress(text: string): WorkerAddress | null {
  const scheme = /^[a-z][a-z0-9+.-]*:(?=\/\/)/i.exec(text)?.[0].toLowerCase() ?? '';
  if (!Object.hasOwn(schemes, scheme)) return null;
  const { protocol, url: urlScheme } = schemes[scheme as Scheme];
  const url = URL.parse(urlScheme + text.slice(scheme.length));
  if (url === null || `${url.search}${url.hash}${url.username}${url.password}` !== '') return null;
  return { protocol, url: url.href.replace(/\/+$/, '') };
}
