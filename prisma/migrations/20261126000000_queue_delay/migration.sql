-- How long a batch that is not full may wait for more images, by the model's manifest.
ALTER TABLE model_variant
  ADD COLUMN max_queue_delay_ms int NOT NULL DEFAULT 0 CHECK (max_queue_delay_ms >= 0);
