/** As it is stored and looked up: people write theirs in either case. */
export function normalEmail(email: string): string {
  return email.trim().toLowerCase();
}

/** What is wrong with a new member's address, or null. Whether it can be reached is not ours to know. */
export function emailFault(email: string): string | null {
  const valid = /^[^\s\p{Cc}@]+@[^\s\p{Cc}@]+$/u.test(email) && email.length <= 254;
  return valid ? null : `'${email}' is not an e-mail address: it reads name@host, at most 254 characters.`;
}
