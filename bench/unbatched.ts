import pg from 'pg';
import type { BenchModel } from './models.ts';

/**
 * Offers a model a second time, as `<name>-unbatched`, whose images run one by one: the same artefact of the same installation.
 * For a database whose service does not run, since nobody is told.
 */
export async function offerUnbatched(databaseUrl: string, model: BenchModel): Promise<BenchModel> {
  const name = `${model.name}-unbatched`;
  const owner = new pg.Client(databaseUrl);
  await owner.connect();
  try {
    // Row-level security binds the owner, too, and knows no policy for it.
    for (const table of ['model', 'model_variant'])
      await owner.query(`ALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY`);
    await owner.query(
      `WITH original AS (SELECT * FROM model WHERE name = $1 AND version = $2 AND tenant_id IS NULL),
            copy AS (
              INSERT INTO model
              SELECT (jsonb_populate_record(NULL::model, to_jsonb(original) || jsonb_build_object('id', gen_random_uuid(), 'name', $3::text))).*
              FROM original RETURNING id
            )
       INSERT INTO model_variant
       SELECT (jsonb_populate_record(variant, jsonb_build_object('id', gen_random_uuid(), 'model_id', copy.id, 'max_batch', 1))).*
       FROM copy, model_variant AS variant WHERE variant.model_id = (SELECT id FROM original)`,
      [model.name, model.version, name],
    );
    for (const table of ['model', 'model_variant'])
      await owner.query(`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`);
  } finally {
    await owner.end();
  }
  return { ...model, name };
}
