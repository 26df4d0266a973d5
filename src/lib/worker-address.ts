/** How a worker is spoken to, how its URL really begins, and whether each address of its name is a worker. */
const schemes = {
  'http:': { protocol: 'oip', url: 'http:', everyAddress: false },
  'https:': { protocol: 'oip', url: 'https:', everyAddress: false },
  'dns+http:': { protocol: 'oip', url: 'http:', everyAddress: true },
  'dns+https:': { protocol: 'oip', url: 'https:', everyAddress: true },
} as const;

type Scheme = keyof typeof schemes;

/** An entry of `FOVEA_WORKERS`. */
export interface WorkerAddress {
  readonly protocol: (typeof schemes)[Scheme]['protocol'];
  /** The base URL, without a slash at its end. */
  readonly url: string;
  /** The name is resolved time and again, and each of its addresses is a worker. */
  readonly everyAddress: boolean;
}

export const WORKER_ADDRESS_WANTED =
  'base URLs of workers, each once and without credentials, separated by commas: http://host:port or https://host:port, or dns+http://name:port or dns+https://name:port for a worker at each address of the name';

/** null: it is none. */
export function parseWorkerAddress(text: string): WorkerAddress | null {
  const scheme = /^[a-z][a-z0-9+.-]*:(?=\/\/)/i.exec(text)?.[0].toLowerCase() ?? '';
  if (!Object.hasOwn(schemes, scheme)) return null;
  const { protocol, url: urlScheme, everyAddress } = schemes[scheme as Scheme];
  const url = URL.parse(urlScheme + text.slice(scheme.length));
  if (url === null || `${url.search}${url.hash}${url.username}${url.password}` !== '') return null;
  if (everyAddress && url.pathname !== '/') return null;
  return { protocol, url: url.href.replace(/\/+$/, ''), everyAddress };
}
