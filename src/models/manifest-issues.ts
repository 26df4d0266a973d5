import type { z } from 'zod';
import { manifestSchema } from './manifest.ts';
import { type Fault, show } from './manifest-error.ts';

/** What the schema has to say against a manifest, in a manifest's words. */
export function faultsOfIssue(issue: z.core.$ZodIssue): Fault[] {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path ? `${path}.${key}` : key,
      found: 'a field that no manifest has',
      wanted: 'none of that name',
    }));
  }
  // A kind that no output has is reported at the kind, with the whole output as what was put in.
  const found =
    issue.code === 'invalid_union' && issue.discriminator
      ? field(issue.input, issue.discriminator)
      : issue.input;
  return [{ path, found: show(found), wanted: wantedBy(issue) }];
}

function wantedBy(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int'
        ? 'a whole number'
        : `${/^[aio]/.test(issue.expected) ? 'an' : 'a'} ${issue.expected}`;
    case 'invalid_value':
      return `one of ${issue.values.map(show).join(', ')}`;
    case 'too_small':
      return issue.origin === 'string'
        ? 'text'
        : `${issue.minimum} or more${issue.origin === 'array' ? ' entries' : ''}`;
    case 'too_big':
      return `${issue.maximum} or less${issue.origin === 'array' ? ' entries' : ''}`;
    case 'invalid_union':
      return issue.discriminator === undefined
        ? issue.message
        : `one of ${manifestSchema.shape.output.options.map(({ shape }) => show(shape.kind.value)).join(', ')}`;
    default:
      return issue.message;
  }
}

/** A field of what may be no object at all. */
export function field(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[key] : undefined;
}
