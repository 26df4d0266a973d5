import ipaddr from 'ipaddr.js';

/** An address as logged and handed to services: IPv4 in its own form even where the socket speaks IPv6. */
export function clientAddress(remote: string | undefined): string {
  if (remote === undefined || !ipaddr.isValid(remote)) return 'unknown';
  return ipaddr.process(remote).toString();
}

/** What shares one anonymous allowance: an IPv4 address, or the /64 that one IPv6 subscriber is given whole. */
export function rateLimitAddress(address: string): string {
  if (!ipaddr.IPv6.isValid(address)) return address;
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv6.parse(address).parts;
  return `${[a, b, c, d].map((part) => part.toString(16)).join(':')}::/64`;
}
