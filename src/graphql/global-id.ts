import { NotFoundError } from '../lib/errors.ts';

/** The things an id can be of, as written before the underscore. */
export type NodeKind = 'tenant' | 'key' | 'model';

export interface GlobalId {
  readonly kind: NodeKind;
  readonly uuid: string;
}

const form = /^(tenant|key|model)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

export function globalId(kind: NodeKind, uuid: string): string {
  return `${kind}_${uuid}`;
}

/** null: no id that this API gives out. */
export function parseGlobalId(id: string): GlobalId | null {
  const [, kind, uuid] = form.exec(id) ?? [];
  return kind && uuid ? { kind: kind as NodeKind, uuid } : null;
}

/** The UUID in an id that must be of `kind`. Throws NotFoundError: whatever else it is, no such thing has that id. */
export function uuidOf(kind: NodeKind, id: string): string {
  const parsed = parseGlobalId(id);
  if (parsed?.kind !== kind)
    throw new NotFoundError(`No ${kind} has this id: expected the form ${kind}_<uuid>.`);
  return parsed.uuid;
}
