import { readdirSync, readFileSync } from 'node:fs';
import { type DocumentNode, Kind, parse, Source } from 'graphql';

const modules = new URL('modules/', import.meta.url);

/** The schema's source: `modules/<module>/<module>.graphql` of every module. Throws, naming the file, on a syntax error. */
export function readTypeDefinitions(): DocumentNode {
  const documents = readdirSync(modules)
    .sort()
    .map((name) => `${name}/${name}.graphql`)
    .map((file) => parse(new Source(readFileSync(new URL(file, modules), 'utf8'), file)));
  return { kind: Kind.DOCUMENT, definitions: documents.flatMap(({ definitions }) => definitions) };
}
