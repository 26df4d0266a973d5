import ipaddr from 'ipaddr.js';

/** What one client holds of the address space: an IPv4 address, or the /64 that an IPv6 subscriber is given whole. */
export function clientNetwork(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed instanceof ipaddr.IPv6
    ? `${parsed.parts.slice(0, 4).map(hex).join(':')}::/64`
    : parsed.toString();
}

function hex(part: number): string {
  return part.toString(16);
}
