import ipaddr from 'ipaddr.js';

/** An address as logged and handed to services: IPv4 in its own form even where the socket speaks IPv6. */
export function clientAddress(remote: string | undefined): string {
  if (remote === undefined || !ipaddr.isValid(remote)) return 'unknown';
  return ipaddr.process(remote).toString();
}
