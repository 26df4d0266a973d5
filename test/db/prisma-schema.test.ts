import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { type DescribedTables, tablesOfDatabase, tablesOfModels } from './described-tables.ts';

const modelsFolder = resolve(import.meta.dirname, '../../prisma');

/** Tables that have no model, and why. */
const withoutModel: Readonly<Record<string, string>> = {
  _prisma_migrations: "the migration runner's own books",
};

async function tablesWithModel(url: string): Promise<DescribedTables> {
  const tables = await tablesOfDatabase(url);
  return Object.fromEntries(Object.entries(tables).filter(([name]) => !(name in withoutModel)));
}

it('every model has its table, column by column and key by key, and every table its model', async () => {
  const database = await createTestDatabase();
  try {
    const tables = await tablesOfDatabase(database.url);
    expect(Object.keys(tables)).toEqual(expect.arrayContaining(Object.keys(withoutModel)));
    expect(await tablesWithModel(database.url)).toEqual(tablesOfModels(modelsFolder));
  } finally {
    await database.drop();
  }
});

const sampleTable = `
  CREATE TABLE sample (
    id uuid PRIMARY KEY, code char(8) NOT NULL UNIQUE, note text, tags text[] NOT NULL, price numeric(20, 12) NOT NULL,
    "at" timestamptz NOT NULL, big bigint NOT NULL, UNIQUE (note, code));
  CREATE UNIQUE INDEX ON sample (big) WHERE note IS NULL;`;

const sampleModel = `// A comment.
model Sample {
  id    String   @id @db.Uuid
  code  String   @unique @db.Char(8)
  memo  String?  @map("note") // Another one.
  tags  String[]
  price Decimal  @db.Decimal(20, 12)
  at    DateTime @db.Timestamptz(6)
  big   BigInt
  other Sample[]

  @@unique([memo, code])
  @@map("sample")
}
`;

it('what the comparison reads tells a table from a model wherever they differ', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fovea-models-'));
  const database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query(sampleTable);
    writeFileSync(join(folder, 'sample.prisma'), sampleModel);
    const { sample: model } = tablesOfModels(folder);
    const described = async () => (await tablesOfDatabase(database.url)).sample;
    expect(await described()).toEqual(model);
    for (const change of [
      'ALTER COLUMN note SET NOT NULL',
      'ALTER COLUMN big TYPE int',
      'ALTER COLUMN price TYPE numeric(20, 10)',
      'ALTER COLUMN code TYPE char(9)',
      'ADD COLUMN more int',
      'DROP COLUMN tags',
      'DROP CONSTRAINT sample_pkey',
      'DROP CONSTRAINT sample_note_code_key',
      'ADD UNIQUE (big)',
    ]) {
      await client.query(`ALTER TABLE sample ${change}`);
      expect(await described(), change).not.toEqual(model);
      await client.query('DROP TABLE sample');
      await client.query(sampleTable);
    }
  } finally {
    await client.end();
    await database.drop();
    rmSync(folder, { recursive: true });
  }
});
