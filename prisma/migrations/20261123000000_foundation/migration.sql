-- Roles, the row-level security helpers, plans and tenants.
--
-- Two roles, neither of which owns a table. The login takes one of them per connection (`-c role=…`):
--   fovea_app     everything but the ledger's writes, under row-level security: a transaction sees the rows of the
--                 tenant it names with set_config('fovea.tenant', <id>, true), and no other's.
--   fovea_ledger  holds, counters, events and roll-ups of many tenants in one statement, and nothing else.
-- Roles belong to the whole cluster, databases to a test or an installation: creating them must tolerate a neighbour
-- that does the same at the same moment.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['fovea_app', 'fovea_ledger'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO fovea_app, fovea_ledger;

-- The tenant of this transaction, or null: no tenant, that is the operator, who sees and writes public rows alone.
CREATE FUNCTION fovea_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('fovea.tenant', true), '')::uuid
$$;

-- What a caller presented to be recognised by: a key's short id, an e-mail address, a session's id, a tenant's name.
-- Whoever presents one sees the one row that carries it, before any tenant is known.
CREATE FUNCTION fovea_presented() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('fovea.presented', true), '')
$$;

-- The same where it is an id, else null: compared as text, an id would have no index.
CREATE FUNCTION fovea_presented_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN fovea_presented() ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN fovea_presented()::uuid END
$$;

-- A price list. A row is never changed: a new version is a new row, and tenants move to it, so that a past invoice can
-- be computed again from what it was computed from.
CREATE TABLE plan (
  id                 uuid PRIMARY KEY,
  name               text NOT NULL,
  version            int NOT NULL CHECK (version > 0),
  monthly_units      bigint CHECK (monthly_units >= 0),          -- null: unlimited
  hard_limit         boolean NOT NULL,                           -- false: units beyond are served and billed
  points_per_second  double precision NOT NULL CHECK (points_per_second > 0),
  burst              int NOT NULL CHECK (burst >= 64),
  concurrency        int NOT NULL CHECK (concurrency > 0),
  weight             int NOT NULL CHECK (weight > 0),
  currency           text NOT NULL DEFAULT 'usd',
  base_cents         bigint NOT NULL CHECK (base_cents >= 0),    -- a month, whatever is used
  included_units     bigint NOT NULL CHECK (included_units >= 0),
  unit_amount_decimal numeric(20, 12) NOT NULL CHECK (unit_amount_decimal >= 0), -- cents a unit beyond the included
  created_at         timestamptz NOT NULL DEFAULT now(),
  UNIQUE (name, version)
);
GRANT SELECT ON plan TO fovea_app;

INSERT INTO plan (id, name, version, monthly_units, hard_limit, points_per_second, burst, concurrency, weight,
                  base_cents, included_units, unit_amount_decimal) VALUES
  ('019aaf00-0000-7000-8000-000000000001', 'Free',  1, 10000,   true,  20,   64,   4,   1,  0,    10000,   0),
  ('019aaf00-0000-7000-8000-000000000002', 'Pro',   1, 1000000, false, 200,  1000, 32,  4,  4900, 1000000, 0.008),
  ('019aaf00-0000-7000-8000-000000000003', 'Scale', 1, NULL,    false, 2000, 10000, 512, 16, 0,    0,       0.005);

CREATE TABLE tenant (
  id          uuid PRIMARY KEY,
  name        text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 200),
  plan_id     uuid NOT NULL REFERENCES plan,
  is_operator boolean NOT NULL DEFAULT false,
  created_at  timestamptz NOT NULL DEFAULT now()
);
-- The installation has one operator: the tenant that the first boot creates.
CREATE UNIQUE INDEX tenant_one_operator ON tenant (is_operator) WHERE is_operator;

ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_own ON tenant TO fovea_app
  USING (id = fovea_tenant() OR name = fovea_presented())
  WITH CHECK (id = fovea_tenant());
GRANT SELECT, INSERT, UPDATE (plan_id) ON tenant TO fovea_app;
