-- Corrections: units that were billed and should not have been. The event stands as it is, and beside it, at the same time and so in
-- the same hour, day and month, another of negative units says why and by whom. When it was made is in its id, a UUIDv7.
ALTER TABLE usage_event
  ADD COLUMN corrects uuid,                                      -- the request that was billed; null: this is a request
  ADD COLUMN reason   text,
  ADD COLUMN author   text,
  DROP CONSTRAINT usage_event_units_check,
  -- What is there already is looked through by the next migration, which keeps nobody from booking meanwhile.
  ADD CONSTRAINT usage_event_kind CHECK (
    CASE WHEN corrects IS NULL THEN units >= 0 AND reason IS NULL AND author IS NULL
         ELSE units < 0 AND images = 0 AND errors = 0 AND cached_images = 0
           AND coalesce(length(reason) BETWEEN 1 AND 1000 AND length(author) BETWEEN 1 AND 200, false) END) NOT VALID;
CREATE INDEX usage_event_corrections ON usage_event (tenant_id, request_id) WHERE corrects IS NOT NULL;

-- Gives `given_back` units of a billed request back. Outcomes: 'corrected', also where this very correction was made before;
-- 'no-event' where nothing was booked of that request; 'too-much' where less of it is still billed. `billed` is what is left of it.
CREATE FUNCTION fovea_correct(correction uuid, of_tenant uuid, request uuid, at timestamptz, given_back bigint,
                              why text, by_whom text)
RETURNS TABLE (outcome text, billed bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  event usage_event;
  left_over bigint;
  changed int;
BEGIN
  -- Roll-ups of the month are written under its counter's lock, and so is the sum of what was given back before.
  PERFORM fovea_lock_counters(ARRAY[of_tenant], ARRAY[date_trunc('month', at, 'UTC')]);
  SELECT * INTO event FROM usage_event WHERE tenant_id = of_tenant AND request_id = request AND occurred_at = at AND corrects IS NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'no-event', 0::bigint;
    RETURN;
  END IF;
  SELECT event.units + coalesce(fovea_sum(units), 0) INTO left_over
    FROM usage_event WHERE corrects = request AND tenant_id = of_tenant AND occurred_at = at;
  IF EXISTS (SELECT FROM usage_event WHERE tenant_id = of_tenant AND request_id = correction AND occurred_at = at) THEN
    RETURN QUERY SELECT 'corrected', left_over;
    RETURN;
  END IF;
  IF given_back > left_over THEN
    RETURN QUERY SELECT 'too-much', left_over;
    RETURN;
  END IF;

  INSERT INTO usage_event (tenant_id, request_id, occurred_at, api_key_id, member_id, operation, model, version, compression,
                           images, errors, cached_images, units, latency_ms, corrects, reason, author)
    VALUES (of_tenant, correction, at, event.api_key_id, event.member_id, event.operation, event.model, event.version,
            event.compression, 0, 0, 0, -given_back, 0, request, why, by_whom);
  UPDATE quota_counter SET used = used - given_back
    WHERE tenant_id = of_tenant AND meter = 'units' AND period = date_trunc('month', at, 'UTC');
  UPDATE usage_hourly SET units = units - given_back
    WHERE tenant_id = of_tenant AND start = date_trunc('hour', at, 'UTC') AND api_key_id IS NOT DISTINCT FROM event.api_key_id
      AND operation = event.operation AND model = event.model AND compression = event.compression;
  GET DIAGNOSTICS changed = ROW_COUNT;
  ASSERT changed = 1, 'the hour of the event has no roll-up';
  UPDATE usage_daily SET units = units - given_back
    WHERE tenant_id = of_tenant AND start = date_trunc('day', at, 'UTC') AND api_key_id IS NOT DISTINCT FROM event.api_key_id
      AND operation = event.operation AND model = event.model AND compression = event.compression;
  GET DIAGNOSTICS changed = ROW_COUNT;
  ASSERT changed = 1, 'the day of the event has no roll-up';
  RETURN QUERY SELECT 'corrected', left_over - given_back;
END $$;
REVOKE ALL ON FUNCTION fovea_correct(uuid, uuid, uuid, timestamptz, bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fovea_correct(uuid, uuid, uuid, timestamptz, bigint, text, text) TO fovea_ledger;
