-- Uploads: a place to PUT one file to, then the file.
--
-- A row is in one of three states: open (no file), being received (a file, and until when that may last), received (a
-- file, and when it came). Whoever receives names a file of its own in the row first: that locks the others out, and
-- makes a file that no row names nobody's, whatever process died over it.
CREATE TABLE upload (
  id                uuid PRIMARY KEY,
  tenant_id         uuid NOT NULL REFERENCES tenant,
  created_by_member uuid,
  created_by_key    uuid,
  created_by_token  uuid,                                               -- the key's client token; it is stored nowhere
  content_type      text NOT NULL CHECK (content_type ~ '^image/[a-z]+$'),
  bytes             int NOT NULL CHECK (bytes BETWEEN 1 AND 20000000),
  sha256            bytea CHECK (length(sha256) = 32),                  -- as declared; null: it was not
  secret_sha256     bytea NOT NULL CHECK (length(secret_sha256) = 32),
  created_at        timestamptz NOT NULL DEFAULT now(),
  expires_at        timestamptz NOT NULL,                               -- later once the file has come
  file              uuid,                                               -- its name in the tenant's folder
  receiving_until   timestamptz,
  received_at       timestamptz,
  received_sha256   bytea CHECK (length(received_sha256) = 32),
  CHECK (num_nonnulls(receiving_until, received_at) = num_nonnulls(file)),
  CHECK ((received_at IS NULL) = (received_sha256 IS NULL)),
  FOREIGN KEY (tenant_id, created_by_member) REFERENCES member (tenant_id, id),
  FOREIGN KEY (tenant_id, created_by_key) REFERENCES api_key (tenant_id, id)
);
CREATE INDEX upload_expiry ON upload (tenant_id, expires_at);

ALTER TABLE upload ENABLE ROW LEVEL SECURITY;
ALTER TABLE upload FORCE ROW LEVEL SECURITY;
CREATE POLICY upload_own ON upload TO fovea_app USING (tenant_id = fovea_tenant());
CREATE POLICY upload_presented ON upload FOR SELECT TO fovea_app USING (id = fovea_presented_id());
GRANT SELECT, INSERT, DELETE, UPDATE (expires_at, file, receiving_until, received_at, received_sha256) ON upload TO fovea_app;
