import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  GraphQLIncludeDirective,
  type GraphQLNamedType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getArgumentValues,
  getDirectiveValues,
  getNamedType,
  getVariableValues,
  type InlineFragmentNode,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { MAX_IMAGES } from '../../inference/validate.ts';
import { BadUserInputError, QueryTooComplexError } from '../../lib/errors.ts';

const MAX_FIRST = 100;

/**
 * A field without a price of its own costs nothing however often it stands in a document, so what a document may make
 * the server do for its one point is bounded here. The reading of a document stops at the first bound it passes:
 * fragments that unfold into ever more fields cost no more than `selections` steps.
 */
const bounds = {
  /** Fields below one another. */
  depth: 12,
  /** The same within introspection: the standard query of clients goes 15 deep. */
  introspectionDepth: 20,
  /** Selections of the whole operation with its fragments unfolded. */
  selections: 10_000,
  /**
   * How many more fields without a price may reach the services than the operation costs points: each sent alone would
   * cost a point. One below a list is run for each of its entries.
   */
  unpaidRuns: 10,
  /** Fields without a price that stand beside the same field under another name. */
  repeats: 100,
  /** The same within introspection, whose fields are long lists. */
  introspectionRepeats: 4,
} as const;

/** A selection set and the type it is of; null within introspection. */
interface Scope {
  readonly type: GraphQLNamedType | null;
  readonly selectionSet: SelectionSetNode;
}

/** Field nodes of one answer key in one type: the executor runs them as one field. */
interface MergedField {
  readonly parent: GraphQLNamedType | null;
  readonly nodes: [FieldNode, ...FieldNode[]];
}

/**
 * The points that `operation` costs: 1, and for every field that takes images as many as it has, for every field that
 * takes `first` as many as that says. Throws BadUserInputError, naming field and limit, where `first` or the number of
 * images is out of range or an argument is not of its type; QueryTooComplexError past one of `bounds`. Variables that
 * do not fit cost 1: the executor refuses them.
 */
export function operationCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const { coerced } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  const root = schema.getRootType(operation.operation);
  if (!coerced || !root) return 1;
  const reader = new CostReader(schema, document, coerced);
  const cost = 1 + reader.costOf([{ type: root, selectionSet: operation.selectionSet }], 1, 1, false);
  if (reader.unpricedRuns > cost + bounds.unpaidRuns) {
    throw new QueryTooComplexError(
      `The operation costs ${cost} points and asks for ${reader.unpricedRuns} results beside its lists and images, each ` +
        `a point if sent alone: at most ${bounds.unpaidRuns} may be above the cost. Send them apart.`,
    );
  }
  return cost;
}

class CostReader {
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #variables: Readonly<Record<string, unknown>>;
  /** How often fields without a price will reach the services. */
  unpricedRuns = 0;
  #selections = 0;
  #repeats = 0;
  #introspectionRepeats = 0;

  constructor(schema: GraphQLSchema, document: DocumentNode, variables: Readonly<Record<string, unknown>>) {
    this.#schema = schema;
    this.#variables = variables;
    this.#fragments = new Map(
      document.definitions
        .filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
        .map((definition) => [definition.name.value, definition]),
    );
  }

  /**
   * The points of what is selected in `scopes`, all of one object, of which the answer holds `times` as many; `inferred`: what
   * was found in images, which no argument bounds.
   */
  costOf(scopes: readonly Scope[], depth: number, times: number, inferred: boolean): number {
    const fields = new Map<string, MergedField>();
    const visited = new Set<string>();
    for (const { type, selectionSet } of scopes) this.#collect(type, selectionSet, visited, fields);

    const seen = new Map<string, number>();
    let cost = 0;
    for (const { parent, nodes } of fields.values()) {
      const name = nodes[0].name.value;
      const field = definitionOf(parent, name);
      const introspects = !field && name !== '__typename';
      const limit = introspects ? bounds.introspectionDepth : bounds.depth;
      if (depth > limit) throw new QueryTooComplexError(`The operation nests fields deeper than ${limit}.`);

      const price = field ? priceOf(field, nodes[0], this.#variables) : 0;
      const place = `${parent?.name}.${name}`;
      const before = seen.get(place) ?? 0;
      if (inferred) requireInForms(field, name, before + 1);
      if (price === 0 && before > 0) this.#countRepeat(name, introspects);
      seen.set(place, before + 1);
      if (field && price === 0 && reachesServices(field, depth)) this.unpricedRuns += times;

      const type = field && getNamedType(field.type);
      const below = nodes.flatMap(({ selectionSet }) => (selectionSet ? [{ type, selectionSet }] : []));
      const infers = inferred || (field !== null && takesImages(field));
      cost += price + (below.length > 0 ? this.costOf(below, depth + 1, times * (price || 1), infers) : 0);
    }
    return cost;
  }

  /** As the executor does it: each fragment once an object, the skipped left out, fields of one answer key together. */
  #collect(
    type: GraphQLNamedType | null,
    { selections }: SelectionSetNode,
    visited: Set<string>,
    fields: Map<string, MergedField>,
  ): void {
    for (const selection of selections) {
      this.#selections += 1;
      if (this.#selections > bounds.selections) {
        throw new QueryTooComplexError(
          `The operation selects more than ${bounds.selections} fields and fragments.`,
        );
      }
      if (!this.#included(selection)) continue;
      if (selection.kind === Kind.FIELD) {
        const key = `${type?.name}.${(selection.alias ?? selection.name).value}`;
        const merged = fields.get(key);
        if (merged) merged.nodes.push(selection);
        else fields.set(key, { parent: type, nodes: [selection] });
      } else {
        const fragment = this.#fragmentOf(selection, visited);
        if (fragment) this.#collect(this.#narrow(type, fragment), fragment.selectionSet, visited, fields);
      }
    }
  }

  #fragmentOf(
    selection: Exclude<SelectionNode, FieldNode>,
    visited: Set<string>,
  ): FragmentDefinitionNode | InlineFragmentNode | undefined {
    if (selection.kind === Kind.INLINE_FRAGMENT) return selection;
    const name = selection.name.value;
    if (visited.has(name)) return undefined;
    visited.add(name);
    return this.#fragments.get(name);
  }

  /** The type within a fragment: its condition's, so that fields are looked up where they are declared. */
  #narrow(
    type: GraphQLNamedType | null,
    { typeCondition }: FragmentDefinitionNode | InlineFragmentNode,
  ): GraphQLNamedType | null {
    if (type === null || !typeCondition) return type;
    return this.#schema.getType(typeCondition.name.value) ?? type;
  }

  #included(selection: SelectionNode): boolean {
    const skip = getDirectiveValues(GraphQLSkipDirective, selection, this.#variables);
    if (skip?.if === true) return false;
    const include = getDirectiveValues(GraphQLIncludeDirective, selection, this.#variables);
    return include?.if !== false;
  }

  #countRepeat(name: string, introspection: boolean): void {
    if (introspection) this.#introspectionRepeats += 1;
    else this.#repeats += 1;
    if (this.#repeats > bounds.repeats || this.#introspectionRepeats > bounds.introspectionRepeats) {
      const limit = introspection ? bounds.introspectionRepeats : bounds.repeats;
      throw new QueryTooComplexError(
        `The operation repeats fields under other names more than ${limit} times, last ${name}: send them apart.`,
      );
    }
  }
}

/** null for fields of introspection, which no type declares. */
function definitionOf(parent: GraphQLNamedType | null, name: string): GraphQLField<unknown, unknown> | null {
  if (!isObjectType(parent) && !isInterfaceType(parent)) return null;
  return parent.getFields()[name] ?? null;
}

/**
 * Below the results of inference a field stands once for each form its enum arguments offer: an image may hold a thousand
 * objects, or a mask of megabytes, and each further name for one would tell it again.
 */
function requireInForms(field: GraphQLField<unknown, unknown> | null, name: string, times: number): void {
  const types = field?.args.map(({ type }) => getNamedType(type)).filter(isEnumType) ?? [];
  const forms = types.reduce((product, type) => product * type.getValues().length, 1);
  if (times <= forms) return;
  throw new QueryTooComplexError(
    `The operation asks ${times} times for ${name} of one result of inference, under other names: at most ${forms} may be.`,
  );
}

function takesImages(field: GraphQLField<unknown, unknown>): boolean {
  return field.args.some(({ type }) => {
    const input = getNamedType(type);
    return isInputObjectType(input) && 'images' in input.getFields();
  });
}

/**
 * Root fields do, and below them those that ask for something by an argument; the others are read off what is there. An
 * enum asks for nothing: it says in which form.
 */
function reachesServices(field: GraphQLField<unknown, unknown>, depth: number): boolean {
  if (depth === 1) return true;
  return field.args.some(({ type }) => !isEnumType(getNamedType(type)));
}

function priceOf(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  if (field.args.length === 0) return 0;
  const { first, input } = argumentsOf(field, node, variables);
  const images = (input as { images?: unknown } | undefined)?.images;
  if (typeof first === 'number') return within(first, MAX_FIRST, `${field.name}: first`);
  if (Array.isArray(images)) return within(images.length, MAX_IMAGES, `${field.name}: the number of images`);
  return 0;
}

/**
 * Coerces a field's arguments ahead of the executor, because what fails here is the caller's doing and can be told so:
 * a null in a variable whose type allows it, for an argument that does not, is found only now.
 */
function argumentsOf(
  field: GraphQLField<unknown, unknown>,
  node: FieldNode,
  variables: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  try {
    return getArgumentValues(field, node, variables);
  } catch (error) {
    throw new BadUserInputError(
      `${field.name}: ${error instanceof Error ? error.message : 'invalid argument'}`,
    );
  }
}

function within(value: number, limit: number, what: string): number {
  if (value >= 1 && value <= limit) return value;
  throw new BadUserInputError(`${what} must be 1 to ${limit}, but is ${value}.`);
}
