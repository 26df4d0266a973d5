import { readFileSync } from 'node:fs';
import {
  astFromValue,
  buildSchema,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
  print,
} from 'graphql';
import { expect, test } from 'vitest';
import { createSchema } from '../../src/graphql/schema.ts';
import { sharedData } from '../support/shared-data.ts';

/** What the running schema has beyond the contract, each with its reason. */
const growth: Readonly<Record<string, string>> = {
  'Mutation.refresh':
    'a session token is short-lived, so that one that leaks is of little use: this gets the next',
  'Mutation.refresh(refreshToken:)': 'its argument',
  'Mutation.signOut': 'a session can be ended before it expires',
  'Segment.rle': 'its description adds which of COCO’s two forms it is',
  'SignInPayload.refreshToken': 'what refresh takes',
  'SignInPayload.refreshExpiresAt': 'when to sign in again',
};

/** What the contract promises and the running schema lacks so far: a whole type or field, or one argument or value. */
const notServedYet: readonly string[] = [];

const contract = sharedData('../design/api.graphql');

test.skipIf(contract === null)(
  'the running schema is the contract’s working part (needs the shared contract)',
  () => {
    const promised = facts(buildSchema(readFileSync(contract!, 'utf8')));
    const served = facts(createSchema());
    const differing = [...served].filter(
      ([place, fact]) => promised.get(place) !== fact && !(place in growth),
    );
    expect(
      differing.map(([place, fact]) => ({ place, served: fact, promised: promised.get(place) })),
    ).toEqual([]);
  },
);

test.skipIf(contract === null)(
  'what the contract promises is served, but for what is listed (needs the shared contract)',
  () => {
    const served = facts(createSchema());
    const promised = facts(buildSchema(readFileSync(contract!, 'utf8')));
    const missing = [...promised.keys()].filter((place) => {
      if (served.has(place)) return false;
      // What belongs to a type or field that is missing whole is missing with it.
      const owner = ownerOf(place);
      return owner === undefined || served.has(owner);
    });
    expect(missing.sort()).toEqual([...notServedYet].sort());
  },
);

test('everything listed as growth is served', () => {
  const served = facts(createSchema());
  expect(Object.keys(growth).filter((place) => !served.has(place))).toEqual([]);
});

/** Every element of a schema by its place, with all that a client relies on: its type, default and description. */
function facts(schema: GraphQLSchema): Map<string, string> {
  const found = new Map<string, string>();
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue;
    found.set(type.name, `${type.astNode?.kind} ${described(type)}${shape(type)}`);
    if (isEnumType(type)) {
      for (const { name, description } of type.getValues())
        found.set(`${type.name}.${name}`, description ?? '');
    }
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values<GraphQLField<unknown, unknown> | GraphQLInputField>(type.getFields())) {
      const place = `${type.name}.${field.name}`;
      found.set(place, `${field.type}${'defaultValue' in field ? written(field) : ''} ${described(field)}`);
      for (const argument of 'args' in field ? field.args : []) {
        found.set(
          `${place}(${argument.name}:)`,
          `${argument.type}${written(argument)} ${described(argument)}`,
        );
      }
    }
  }
  return found;
}

/** The field of an argument, the type of a field or value; undefined for a type. */
function ownerOf(place: string): string | undefined {
  return /^(.*)[.(]/.exec(place)?.[1];
}

function shape(type: GraphQLNamedType): string {
  if (isUnionType(type)) return type.getTypes().join(' | ');
  if (isInputObjectType(type)) return type.isOneOf ? '@oneOf' : '';
  if (isObjectType(type)) return type.getInterfaces().join(' & ');
  return '';
}

function written({ defaultValue, type }: Pick<GraphQLInputField, 'defaultValue' | 'type'>): string {
  const node = defaultValue === undefined ? null : astFromValue(defaultValue, type);
  return node ? ` = ${print(node)}` : '';
}

function described({ description }: { readonly description?: string | null | undefined }): string {
  return description ? `"${description}" ` : '';
}
