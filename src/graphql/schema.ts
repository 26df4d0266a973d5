import {
  assertValidSchema,
  buildASTSchema,
  type GraphQLFieldResolver,
  type GraphQLSchema,
  type GraphQLTypeResolver,
  isAbstractType,
  isObjectType,
  isScalarType,
} from 'graphql';
import type { GraphqlContext } from './context.ts';
import type { Resolvers } from './generated/resolvers-types.ts';
import { resolvers as apiKeys } from './modules/api-keys/resolvers.ts';
import { resolvers as base } from './modules/base/resolvers.ts';
import { resolvers as billing } from './modules/billing/resolvers.ts';
import { resolvers as clientTokens } from './modules/client-tokens/resolvers.ts';
import { resolvers as inference } from './modules/inference/resolvers.ts';
import { resolvers as models } from './modules/models/resolvers.ts';
import { resolvers as sessions } from './modules/sessions/resolvers.ts';
import { resolvers as tenants } from './modules/tenants/resolvers.ts';
import { resolvers as uploads } from './modules/uploads/resolvers.ts';
import { resolvers as usage } from './modules/usage/resolvers.ts';
import { guardFields } from './permissions.ts';
import { readTypeDefinitions } from './type-definitions.ts';

const modules: readonly Resolvers[] = [
  base,
  tenants,
  sessions,
  apiKeys,
  clientTokens,
  models,
  inference,
  uploads,
  usage,
  billing,
];

/** The schema that is served: every module's types with its resolvers, every root field behind the permission table. */
export function createSchema(): GraphQLSchema {
  const schema = buildASTSchema(readTypeDefinitions());
  for (const resolvers of modules) {
    for (const [typeName, implementation] of Object.entries(resolvers))
      attach(schema, typeName, implementation);
  }
  assertValidSchema(schema);
  return guardFields(schema);
}

/** `implementation` is typed by the generated `Resolvers`; here it is told apart by the kind of type it is for. */
function attach(schema: GraphQLSchema, typeName: string, implementation: object): void {
  const type = schema.getType(typeName);
  if (isScalarType(type)) {
    const { serialize, parseValue, parseLiteral } = implementation as typeof type;
    Object.assign(type, { serialize, parseValue, parseLiteral });
  } else if (isAbstractType(type)) {
    const { __resolveType } = implementation as {
      __resolveType: GraphQLTypeResolver<unknown, GraphqlContext>;
    };
    type.resolveType = __resolveType;
  } else if (isObjectType(type)) {
    const fields = type.getFields();
    for (const [name, resolve] of Object.entries(implementation)) {
      if (!fields[name]) throw new Error(`A resolver stands for ${typeName}.${name}, which the schema lacks`);
      fields[name].resolve = resolve as GraphQLFieldResolver<unknown, GraphqlContext>;
    }
  } else {
    throw new Error(`Resolvers stand for ${typeName}, which the schema lacks or which takes none`);
  }
}
