/** How a worker is spoken to, and how its URL really begins. */
const schemes = {
  'http:': { protocol: 'oip', url: 'http:' },
  'https:': { protocol: 'oip', url: 'https:' },
  'tfserving+grpc:': { protocol: 'tfserving-grpc', url: 'http:' },
  'tfserving+grpcs:': { protocol: 'tfserving-grpc', url: 'https:' },
  'tfserving+http:': { protocol: 'tfserving-rest', url: 'http:' },
  'tfserving+https:': { protocol: 'tfserving-rest', url: 'https:' },
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
  'base URLs of workers, each once and without credentials, separated by commas: http://host:port or https://host:port, or dns+http://name:port or dns+https://name:port for a worker at each address of the name; the same with tfserving+http, tfserving+https, tfserving+grpc and tfserving+grpcs for TensorFlow Serving';

/** null: it is none. */
export function parseWorkerAddress(text: string): WorkerAddress | null {
  const [start = '', every, scheme = ''] =
    /^(dns\+)?([a-z][a-z0-9+.-]*:)(?=\/\/)/.exec(text.toLowerCase()) ?? [];
  if (!Object.hasOwn(schemes, scheme)) return null;
  const { protocol, url: urlScheme } = schemes[scheme as Scheme];
  const everyAddress = every !== undefined;
  const url = URL.parse(urlScheme + text.slice(start.length));
  if (url === null || `${url.search}${url.hash}${url.username}${url.password}` !== '') return null;
  // gRPC has no place for a path, nor does an address stand for one.
  if ((everyAddress || protocol === 'tfserving-grpc') && url.pathname !== '/') return null;
  return { protocol, url: url.href.replace(/\/+$/, ''), everyAddress };
}
