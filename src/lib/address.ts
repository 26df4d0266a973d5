import ipaddr from 'ipaddr.js';

/**
 * Addresses that the registries count as public and that still answer as the platform's own: Azure's wire server hands
 * out a virtual machine's secrets.
 */
const platformAddresses = new Set(['168.63.129.16']);

/**
 * Whether an address belongs to the public internet. Everything with a purpose of its own (private, loopback, link-local and
 * with it the clouds' metadata, carrier NAT, multicast, documentation, reserved) is not, nor is any IPv6 form that embeds an
 * IPv4 address (mapped, compatible, NAT64, 6to4, Teredo): a gateway would unwrap it to where it pleases.
 * @param address a canonical literal, as a resolver gives it; anything else is not public
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address) || platformAddresses.has(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
}

/** The one block of IPv6 that is handed out (RFC 4291, IANA): outside of it lie `::/96`, NAT64 and what is yet to be defined. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
