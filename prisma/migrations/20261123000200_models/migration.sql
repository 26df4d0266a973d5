-- Models and the stored artefacts that serve them. A row whose tenant is null is public: every tenant sees it, the
-- operator alone writes it.
CREATE TABLE model (
  id           uuid PRIMARY KEY,
  tenant_id    uuid REFERENCES tenant,
  name         text NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  version      int NOT NULL CHECK (version > 0),
  task         text NOT NULL CHECK (task IN ('CLASSIFY', 'DETECT', 'SEGMENT')),
  manifest     jsonb NOT NULL,              -- as it was read, with every default and the source file's sha256 filled in
  labels       text[] NOT NULL,             -- one a column of the graph
  license      text,
  description  text,
  input_width  int NOT NULL CHECK (input_width > 0),
  input_height int NOT NULL CHECK (input_height > 0),
  is_live      boolean NOT NULL,            -- answers where a caller names no version
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE NULLS NOT DISTINCT (tenant_id, name, version)
);
CREATE UNIQUE INDEX model_one_live ON model (tenant_id, name) NULLS NOT DISTINCT WHERE is_live;

CREATE TABLE model_variant (
  id              uuid PRIMARY KEY,
  model_id        uuid NOT NULL REFERENCES model ON DELETE CASCADE,
  tenant_id       uuid REFERENCES tenant,   -- the model's, repeated for row-level security
  compression     text NOT NULL CHECK (compression IN ('NONE', 'FLOAT16', 'INT8', 'PRUNED')),
  artifact_sha256 text NOT NULL CHECK (artifact_sha256 ~ '^[0-9a-f]{64}$'),
  size_bytes      bigint NOT NULL CHECK (size_bytes > 0),
  input           jsonb NOT NULL,           -- tensor and geometry
  output          jsonb NOT NULL,           -- tensor and how it is read
  max_batch       int NOT NULL CHECK (max_batch > 0),
  units_per_image int NOT NULL CHECK (units_per_image > 0),
  report          jsonb,                    -- measured against NONE; null for NONE
  created_at      timestamptz NOT NULL DEFAULT now(),
  UNIQUE (model_id, compression)
);

ALTER TABLE model ENABLE ROW LEVEL SECURITY;
ALTER TABLE model FORCE ROW LEVEL SECURITY;
CREATE POLICY model_visible ON model FOR SELECT TO fovea_app
  USING (tenant_id IS NULL OR tenant_id = fovea_tenant());
CREATE POLICY model_insert ON model FOR INSERT TO fovea_app
  WITH CHECK (tenant_id IS NOT DISTINCT FROM fovea_tenant());
CREATE POLICY model_update ON model FOR UPDATE TO fovea_app
  USING (tenant_id IS NOT DISTINCT FROM fovea_tenant())
  WITH CHECK (tenant_id IS NOT DISTINCT FROM fovea_tenant());
-- A version never changes once it is stored; which version is live does.
GRANT SELECT, INSERT, UPDATE (is_live) ON model TO fovea_app;

ALTER TABLE model_variant ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_variant FORCE ROW LEVEL SECURITY;
CREATE POLICY model_variant_visible ON model_variant FOR SELECT TO fovea_app
  USING (tenant_id IS NULL OR tenant_id = fovea_tenant());
-- The second half keeps a tenant from hanging a variant of its own on a public model.
CREATE POLICY model_variant_insert ON model_variant FOR INSERT TO fovea_app
  WITH CHECK (tenant_id IS NOT DISTINCT FROM fovea_tenant()
    AND EXISTS (SELECT FROM model m WHERE m.id = model_id AND m.tenant_id IS NOT DISTINCT FROM model_variant.tenant_id));
GRANT SELECT, INSERT ON model_variant TO fovea_app;
