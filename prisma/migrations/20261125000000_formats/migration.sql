-- What an artefact is written in (it decides the engine), and what it does to pixels before anything else: a server that
-- wants floats is fed what that makes of them. null for variants stored before this migration.
ALTER TABLE model_variant
  ADD COLUMN format text NOT NULL DEFAULT 'onnx'
    CHECK (format IN ('onnx', 'saved-model', 'tfjs-graph', 'tfjs-layers')),
  ADD COLUMN preprocessing jsonb CHECK (jsonb_typeof(preprocessing) = 'object');
