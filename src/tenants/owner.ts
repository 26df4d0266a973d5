import { v7 as uuidv7 } from 'uuid';
import type { Transaction } from '../db/database.ts';
import { OperatorError } from '../lib/errors.ts';
import { emailFault, normalEmail } from './email.ts';
import { type Passwords, passwordFault } from './passwords.ts';
import { randomText } from './random-text.ts';

/** The first member of a tenant, about to be written. */
export interface NewOwner {
  readonly id: string;
  readonly email: string;
  readonly passwordHash: string;
  /** The password that was made up, to be shown once; null where one was given. */
  readonly madeUpPassword: string | null;
}

/** `password` null: one is made up. Throws OperatorError where address or password have no valid form. */
export async function newOwner(
  passwords: Passwords,
  email: string,
  password: string | null,
): Promise<NewOwner> {
  const address = normalEmail(email);
  const chosen = password ?? randomText(24);
  const fault = emailFault(address) ?? passwordFault(chosen);
  if (fault !== null) throw new OperatorError(fault);
  const passwordHash = await passwords.hash(chosen);
  return { id: uuidv7(), email: address, passwordHash, madeUpPassword: password === null ? chosen : null };
}

export async function insertOwner(
  tx: Transaction,
  tenantId: string,
  { id, email, passwordHash }: NewOwner,
): Promise<void> {
  await tx.member.create({ data: { id, tenantId, email, passwordHash, role: 'OWNER' } });
}
