-- Weights that a graph keeps in files of their own: SHA-256 of each in the artefact store, in the order the graph names them.
-- `size_bytes` counts them.
ALTER TABLE model_variant ADD COLUMN external_data text[] NOT NULL DEFAULT '{}'
  CHECK (array_position(external_data, NULL) IS NULL
    AND array_to_string(external_data, ',') ~ '^([0-9a-f]{64}(,[0-9a-f]{64})*)?$');
