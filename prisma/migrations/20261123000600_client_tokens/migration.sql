-- Browsers: the origins whose pages may read a tenant's answers, and what tokens that may spend so much have spent.

-- Whether each is an origin as browsers write it: scheme, host and a port that is not the scheme's own; no path, no
-- wildcard. `null`, which sandboxed pages send, is none.
CREATE FUNCTION fovea_are_origins(list text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(bool_and(
           origin IS NOT NULL AND length(origin) <= 300
           AND origin ~ '^[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$'), true)
    FROM unnest(list) AS origin
$$;

ALTER TABLE tenant ADD COLUMN allowed_origins text[] NOT NULL DEFAULT '{}'
  CHECK (cardinality(allowed_origins) <= 100 AND fovea_are_origins(allowed_origins));
-- A browser asks before it sends anything that tells a tenant: by the origin alone.
CREATE INDEX tenant_allowed_origins ON tenant USING gin (allowed_origins);
CREATE POLICY tenant_origin_presented ON tenant FOR SELECT TO fovea_app
  USING (allowed_origins @> ARRAY[fovea_presented()]);
GRANT UPDATE (allowed_origins) ON tenant TO fovea_app;

-- What a client token with a bound may spend and has spent. A token without one has no row: all it says, it carries.
CREATE TABLE client_token (
  id         uuid PRIMARY KEY,
  tenant_id  uuid NOT NULL REFERENCES tenant,
  api_key_id uuid NOT NULL,
  max_units  bigint NOT NULL CHECK (max_units > 0),
  spent      bigint NOT NULL DEFAULT 0 CHECK (spent BETWEEN 0 AND max_units),
  expires_at timestamptz NOT NULL,
  FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_key (tenant_id, id)
) WITH (fillfactor = 50); -- spent changes with each request: room for it beside the old value
CREATE INDEX client_token_expiry ON client_token (tenant_id, expires_at);

ALTER TABLE client_token ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_token FORCE ROW LEVEL SECURITY;
CREATE POLICY client_token_own ON client_token TO fovea_app USING (tenant_id = fovea_tenant());
-- DELETE: a tenant's expired tokens are cleared away when its keys mint others.
GRANT SELECT, INSERT, DELETE, UPDATE (spent) ON client_token TO fovea_app;
