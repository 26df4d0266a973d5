import { defaultFieldResolver, type GraphQLField, type GraphQLSchema, isObjectType } from 'graphql';
import { type Action, authorize, type ProtectedAction, permissions } from '../tenants/permissions.ts';
import type { Principal } from '../tenants/types.ts';
import type { GraphqlContext } from './context.ts';

type Field = GraphQLField<unknown, GraphqlContext>;

/**
 * Puts the permission table in front of every root field, and of every field elsewhere that has a row of its own
 * (`Type.field`): no resolver is reached by a caller who may not call it. Changes `schema` and answers it.
 * Throws, naming them, if root fields have no row or a row names a field that the schema lacks.
 */
export function guardFields(
  schema: GraphQLSchema,
  table: Readonly<Record<string, unknown>> = permissions,
  check: (principal: Principal | null, action: Action) => unknown = authorize,
): GraphQLSchema {
  const unguarded = new Map<string, Field>(rootFields(schema).map((field) => [field.name, field]));
  const absent: string[] = [];

  for (const action of Object.keys(table)) {
    const field = action.includes('.') ? nestedField(schema, action) : unguarded.get(action);
    if (field) guard(field, (principal) => check(principal, action as Action));
    else absent.push(action);
    unguarded.delete(action);
  }

  if (unguarded.size > 0) {
    throw new Error(
      `These root fields have no row in src/tenants/permissions.ts: ${[...unguarded.keys()].join(', ')}`,
    );
  }
  if (absent.length > 0) {
    throw new Error(
      `These rows of src/tenants/permissions.ts name no field of the schema: ${absent.join(', ')}`,
    );
  }
  return schema;
}

/** The principal a resolver acts for, where `action` is the row that guards it. */
export function callerOf(context: GraphqlContext, action: ProtectedAction): Principal {
  return authorize(context.principal, action);
}

function guard(field: Field, check: (principal: Principal | null) => unknown): void {
  const resolve = field.resolve ?? defaultFieldResolver;
  field.resolve = (source, args, context, info) => {
    check(context.principal);
    return resolve(source, args, context, info);
  };
}

function rootFields(schema: GraphQLSchema): Field[] {
  return [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].flatMap((type) =>
    type ? Object.values(type.getFields()) : [],
  );
}

function nestedField(schema: GraphQLSchema, action: string): Field | undefined {
  const [typeName = '', fieldName = ''] = action.split('.');
  const type = schema.getType(typeName);
  return isObjectType(type) ? type.getFields()[fieldName] : undefined;
}
