-- The role of the durable queue: it owns the schema that graphile-worker keeps its tables in, which it makes and upgrades by itself,
-- and reaches nothing else. Both are granted and made after the migrations (src/db/migrate.ts), since who migrates need not be who
-- may grant it.
DO $$
BEGIN
  CREATE ROLE fovea_jobs NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;
END $$;
