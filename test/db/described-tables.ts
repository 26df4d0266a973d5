import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

/** A table, as one side sees it. */
export interface DescribedTable {
  /** Type by column, as PostgreSQL writes it; `?` after it allows null. */
  columns: Record<string, string>;
  /** `PRIMARY (…)` and `UNIQUE (…)` with the columns in order. */
  keys: string[];
}
export type DescribedTables = Record<string, DescribedTable>;

const typeOf: Readonly<Record<string, string>> = {
  String: 'text',
  Int: 'integer',
  BigInt: 'bigint',
  Float: 'double precision',
  Boolean: 'boolean',
  Decimal: 'numeric(65,30)',
  DateTime: 'timestamp(3) without time zone',
  Json: 'jsonb',
  Bytes: 'bytea',
};

const nativeTypeOf: Readonly<Record<string, (argument: string) => string>> = {
  Uuid: () => 'uuid',
  Char: (length) => `character(${length})`,
  VarChar: (length) => `character varying(${length})`,
  SmallInt: () => 'smallint',
  Real: () => 'real',
  Decimal: (size) => `numeric(${size.replaceAll(' ', '')})`,
  Timestamptz: (digits) => `timestamp(${digits}) with time zone`,
  Date: () => 'date',
  Inet: () => 'inet',
};

/** Reads the models in `folder`'s .prisma files: as much of the language as tables are made of. */
export function tablesOfModels(folder: string): DescribedTables {
  const files = readdirSync(folder).filter((file) => file.endsWith('.prisma'));
  const source = files
    .map((file) => readFileSync(join(folder, file), 'utf8').replaceAll(/\/\/.*$/gm, ''))
    .join('\n');
  const blocks = [...source.matchAll(/^model (\w+) \{\n(.*?)^\}/gms)].map(([, name, body]) => ({
    name: name!,
    body: body!,
  }));
  const models = new Set(blocks.map(({ name }) => name));
  return Object.fromEntries(
    blocks.map(({ name, body }) => [/@@map\("(\w+)"\)/.exec(body)?.[1] ?? name, tableOf(body, models)]),
  );
}

function tableOf(body: string, models: ReadonlySet<string>): DescribedTable {
  const table: DescribedTable = { columns: {}, keys: [] };
  const columnOf = new Map<string, string>();
  for (const [, field, type, list, optional, attributes] of body.matchAll(
    /^ {2}(\w+) +(\w+)(\[\])?(\?)?(.*)$/gm,
  )) {
    if (models.has(type!)) continue; // The other end of a relation, which is no column.
    const column = /@map\("(\w+)"\)/.exec(attributes!)?.[1] ?? field!;
    const native = /@db\.(\w+)(?:\(([^)]*)\))?/.exec(attributes!);
    const base = native ? nativeTypeOf[native[1]!]?.(native[2] ?? '') : typeOf[type!];
    if (base === undefined)
      throw new Error(`${field} ${type}${attributes}: this test does not know that type yet`);
    table.columns[column] = `${withoutDefaultPrecision(base)}${list ?? ''}${optional ?? ''}`;
    columnOf.set(field!, column);
    if (/@id\b/.test(attributes!)) table.keys.push(`PRIMARY (${column})`);
    if (/@unique\b/.test(attributes!)) table.keys.push(`UNIQUE (${column})`);
  }
  for (const [, kind, fields] of body.matchAll(/@@(id|unique)\((?:fields: *)?\[([^\]]+)\]/g)) {
    const columns = fields!.split(',').map((field) => columnOf.get(field.trim()));
    table.keys.push(`${kind === 'id' ? 'PRIMARY' : 'UNIQUE'} (${columns.join(', ')})`);
  }
  table.keys.sort();
  return table;
}

/**
 * Reads the catalogue of the database at `url`. A partition is part of its table; a unique index on some rows alone or on
 * an expression is nothing that Prisma could express, so it is left out.
 */
export async function tablesOfDatabase(url: string): Promise<DescribedTables> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const columns = await client.query<{ table: string; column: string; type: string; required: boolean }>(
      `SELECT relname AS table, attname AS column, format_type(atttypid, atttypmod) AS type, attnotnull AS required
         FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND attnum > 0 AND NOT attisdropped`,
    );
    const keys = await client.query<{ table: string; key: string }>(
      `SELECT relname AS table, format('%s (%s)', CASE WHEN indisprimary THEN 'PRIMARY' ELSE 'UNIQUE' END,
                string_agg(attname, ', ' ORDER BY array_position(indkey::int2[], attnum))) AS key
         FROM pg_index i JOIN pg_class c ON c.oid = indrelid JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE relnamespace = 'public'::regnamespace AND NOT relispartition
          AND indisunique AND indpred IS NULL AND indexprs IS NULL
        GROUP BY relname, indexrelid, indisprimary ORDER BY key`,
    );
    const tables: DescribedTables = {};
    for (const { table, column, type, required } of columns.rows) {
      tables[table] ??= { columns: {}, keys: [] };
      tables[table].columns[column] =
        `${withoutDefaultPrecision(type)}${required || type.endsWith('[]') ? '' : '?'}`;
    }
    for (const { table, key } of keys.rows) tables[table]?.keys.push(key);
    for (const table of Object.values(tables)) table.keys.sort();
    return tables;
  } finally {
    await client.end();
  }
}

/** Microseconds are PostgreSQL's default, so it leaves them out where Prisma names them. */
function withoutDefaultPrecision(type: string): string {
  return type.replace('timestamp(6)', 'timestamp');
}
