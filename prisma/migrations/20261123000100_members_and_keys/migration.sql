-- People and credentials: members, API keys, sessions and the keys that sign access tokens.
--
-- Each tenant's table has two policies: its own rows for everything, and, for reading alone, the one row that carries
-- what a caller presented (see fovea_presented): that is how a caller becomes known before its tenant is.
-- Secrets are stored as what verifies them, never as themselves: a SHA-256 where the secret is 256 random bits, an
-- argon2id hash where a person chose it.

CREATE TABLE member (
  id            uuid PRIMARY KEY,
  tenant_id     uuid NOT NULL REFERENCES tenant,
  -- One address is one person in one tenant: signing in asks for no tenant's name.
  email         text NOT NULL UNIQUE CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
  password_hash text NOT NULL,
  role          text NOT NULL CHECK (role IN ('OWNER', 'ADMIN', 'DEVELOPER', 'BILLING')),
  created_at    timestamptz NOT NULL DEFAULT now(),
  disabled_at   timestamptz,
  -- What a row refers to below is of its own tenant: the references carry the tenant with them.
  UNIQUE (tenant_id, id)
);

ALTER TABLE member ENABLE ROW LEVEL SECURITY;
ALTER TABLE member FORCE ROW LEVEL SECURITY;
CREATE POLICY member_own ON member TO fovea_app USING (tenant_id = fovea_tenant());
CREATE POLICY member_presented ON member FOR SELECT TO fovea_app USING (email = fovea_presented());
GRANT SELECT, INSERT ON member TO fovea_app;

CREATE TABLE api_key (
  id                uuid PRIMARY KEY,
  tenant_id         uuid NOT NULL REFERENCES tenant,
  short_id          char(8) NOT NULL UNIQUE CHECK (short_id ~ '^[A-Za-z0-9]{8}$'),
  secret_sha256     bytea NOT NULL CHECK (length(secret_sha256) = 32),
  name              text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  scopes            text[] NOT NULL CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY[
                      'INFER', 'MODELS_READ', 'MODELS_WRITE', 'USAGE_READ', 'KEYS_WRITE', 'BILLING', 'TRAINING', 'ADMIN']),
  created_by_member uuid,
  created_by_key    uuid,
  created_at        timestamptz NOT NULL DEFAULT now(),
  last_used_at      timestamptz,
  expires_at        timestamptz,
  revoked_at        timestamptz,
  replaced_by       uuid, -- the key that a rotation made of this one
  UNIQUE (tenant_id, id),
  FOREIGN KEY (tenant_id, created_by_member) REFERENCES member (tenant_id, id),
  FOREIGN KEY (tenant_id, created_by_key) REFERENCES api_key (tenant_id, id),
  FOREIGN KEY (tenant_id, replaced_by) REFERENCES api_key (tenant_id, id)
);

ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key FORCE ROW LEVEL SECURITY;
CREATE POLICY api_key_own ON api_key TO fovea_app USING (tenant_id = fovea_tenant());
CREATE POLICY api_key_presented ON api_key FOR SELECT TO fovea_app
  USING (short_id = fovea_presented()::bpchar); -- as text, short_id would have no index
-- A key is never widened nor deleted: usage refers to it for as long as there are bills.
GRANT SELECT, INSERT, UPDATE (last_used_at, expires_at, revoked_at, replaced_by) ON api_key TO fovea_app;

-- A signed-in member's browser. Its refresh secret changes at each use; its access tokens name it and die with it.
CREATE TABLE session (
  id             uuid PRIMARY KEY,
  tenant_id      uuid NOT NULL REFERENCES tenant,
  member_id      uuid NOT NULL,
  refresh_sha256 bytea NOT NULL CHECK (length(refresh_sha256) = 32),
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL,
  revoked_at     timestamptz,
  FOREIGN KEY (tenant_id, member_id) REFERENCES member (tenant_id, id)
);
CREATE INDEX session_member ON session (tenant_id, member_id);

ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE session FORCE ROW LEVEL SECURITY;
CREATE POLICY session_own ON session TO fovea_app USING (tenant_id = fovea_tenant());
CREATE POLICY session_presented ON session FOR SELECT TO fovea_app USING (id = fovea_presented_id());
-- DELETE: a member's expired sessions are cleared away at its next sign-in.
GRANT SELECT, INSERT, DELETE, UPDATE (refresh_sha256, expires_at, revoked_at) ON session TO fovea_app;

-- What access tokens are signed with: of the installation, not of a tenant. The private half is wiped on retirement.
CREATE TABLE signing_key (
  kid         text PRIMARY KEY,
  algorithm   text NOT NULL CHECK (algorithm = 'ES256'),
  private_pem text,
  public_pem  text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  retired_at  timestamptz,
  CHECK ((private_pem IS NULL) = (retired_at IS NOT NULL))
);
CREATE UNIQUE INDEX signing_key_one_active ON signing_key ((true)) WHERE retired_at IS NULL;
GRANT SELECT, INSERT, UPDATE (private_pem, retired_at) ON signing_key TO fovea_app;
