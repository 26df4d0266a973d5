import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface ComposeService {
  readonly image?: string;
  /** A folder with a Dockerfile, or which file of it. */
  readonly build?: string | { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { condition: string }>>;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly deploy?: {
    readonly resources?: { readonly reservations?: { readonly devices?: readonly unknown[] } };
  };
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** Reads a Compose file with its `${NAME:-default}` filled in from `variables`. */
export function readCompose(path: string, variables: Readonly<Record<string, string>> = {}): ComposeFile {
  const text = readFileSync(path, 'utf8');
  return parse(text.replaceAll(/\$\{(\w+):-([^}]*)\}/g, (_, name, unset) => variables[name] || unset));
}
