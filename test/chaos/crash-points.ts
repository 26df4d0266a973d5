import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type AnyNode, type AwaitExpression, type Program, parse } from 'acorn';

const root = resolve(import.meta.dirname, '../..');

/** Two at each `await`: before what is awaited begins, and after it has ended. */
export type CrashPoint = `${string} ${'before' | 'after'}`;

/** A module that is run in the place of one of the repository's. */
export interface ReplacedModule {
  /** Of that one. */
  readonly url: string;
  /** JavaScript. */
  readonly source: string;
}

/** It calls `__crashPoint(point)` at each of its points. */
export interface InstrumentedModule extends ReplacedModule {
  /** Below the repository's root. */
  readonly path: string;
  readonly points: readonly CrashPoint[];
}

/** `source` in the place of the module at `path`, below the repository's root. */
export function replaceModule(path: string, source: string): ReplacedModule {
  return { url: pathToFileURL(join(root, path)).href, source };
}

/** The modules at `paths`, files or folders below the repository's root, with a point at each `await` of theirs. */
export function instrument(paths: readonly string[]): InstrumentedModule[] {
  return paths
    .flatMap((path) => (path.endsWith('.ts') ? [join(root, path)] : modulesIn(join(root, path))))
    .map((file) => instrumentOne(file))
    .filter(({ points }) => points.length > 0);
}

/**
 * The modules that those at `paths` import, and these in turn, with themselves: as far as they await anything. What is imported for
 * its types alone is none of them.
 */
export function awaitingModules(paths: readonly string[]): string[] {
  const seen = new Set<string>();
  const awaiting: string[] = [];
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const { program } = read(file);
    if (awaitsIn(program, '').length > 0) awaiting.push(relative(root, file));
    for (const node of program.body) {
      const source = 'source' in node ? node.source?.value : null;
      if (typeof source === 'string' && source.startsWith('.')) visit(join(dirname(file), source));
    }
  };
  for (const path of paths) visit(join(root, path));
  return awaiting.sort();
}

function modulesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name))
    .sort();
}

function instrumentOne(file: string): InstrumentedModule {
  const { code, program } = read(file);
  const awaits = awaitsIn(program, '');
  const counts = new Map<string, number>();
  const places = awaits.map(({ node, within }) => {
    const ordinal = (counts.get(within) ?? 0) + 1;
    counts.set(within, ordinal);
    return { node, name: `${relative(root, file)} ${within || 'module'} ${ordinal}` };
  });
  return {
    path: relative(root, file),
    url: pathToFileURL(file).href,
    source: withCalls(code, places),
    points: places.flatMap(({ name }): CrashPoint[] => [`${name} before`, `${name} after`]),
  };
}

function read(file: string): { readonly code: string; readonly program: Program } {
  // Types become blanks, so that nothing moves.
  const code = stripTypeScriptTypes(readFileSync(file, 'utf8'));
  return { code, program: parse(code, { ecmaVersion: 'latest', sourceType: 'module' }) };
}

interface FoundAwait {
  readonly node: AwaitExpression;
  /** The names of the functions and methods around it. */
  readonly within: string;
}

function awaitsIn(node: AnyNode, within: string): FoundAwait[] {
  const name = nameOf(node);
  const inside = name === null ? within : within === '' ? name : `${within}.${name}`;
  const found = Object.values(node)
    .flat()
    .filter(isNode)
    .flatMap((child) => awaitsIn(child, inside));
  return node.type === 'AwaitExpression' ? [{ node, within }, ...found] : found;
}

function isNode(value: unknown): value is AnyNode {
  return (
    typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
  );
}

function nameOf(node: AnyNode): string | null {
  if (node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') return node.id?.name ?? null;
  if (node.type === 'MethodDefinition' || node.type === 'PropertyDefinition') {
    const { key } = node;
    return key.type === 'PrivateIdentifier' ? `#${key.name}` : key.type === 'Identifier' ? key.name : null;
  }
  return null;
}

/** `await x` becomes `(__crashPoint("… before"), __crashPoint("… after", await x))`. */
function withCalls(
  code: string,
  places: readonly { readonly node: AwaitExpression; readonly name: string }[],
): string {
  const inserts = places.flatMap(({ node, name }) => [
    {
      at: node.start,
      text: `(__crashPoint(${JSON.stringify(`${name} before`)}), __crashPoint(${JSON.stringify(`${name} after`)}, `,
    },
    { at: node.end, text: '))' },
  ]);
  // From the last to the first; of two at one place, which only ends can be, the order is no matter.
  return inserts
    .toSorted((a, b) => b.at - a.at)
    .reduce((text, insert) => text.slice(0, insert.at) + insert.text + text.slice(insert.at), code);
}
