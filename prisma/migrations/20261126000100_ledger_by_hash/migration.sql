-- A batch of the ledger costs the same for each of its rows, however many tenants it has: it comes as arrays, a column each, every
-- table is read once, by an array of keys, and joined by hash. Nested loops are off throughout: with an array among its conditions,
-- each turn of one begins by sorting that array.

-- Sums of bigints as bigints: the built-in sum of them is numeric, and several times as slow. Too large a sum is an error.
CREATE AGGREGATE fovea_sum(bigint) (SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE);

-- A histogram is stored from its first bucket that counts anything to its last: an array whose subscripts begin where it does,
-- bucket 0 at 1, with nulls for what lies between and is empty. Hours rarely have more than a dozen of the buckets.
DROP AGGREGATE fovea_histogram(int, int);
DROP FUNCTION fovea_histogram_count(bigint[], int, int);
CREATE FUNCTION fovea_histogram_count(counts bigint[], bucket int) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  counts[bucket + 1] := coalesce(counts[bucket + 1], 0) + 1;
  RETURN counts;
END $$;
CREATE AGGREGATE fovea_histogram(bucket int) (SFUNC = fovea_histogram_count, STYPE = bigint[]);

CREATE OR REPLACE FUNCTION fovea_histogram_add(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  FOR i IN array_lower(b, 1)..array_upper(b, 1) LOOP
    IF b[i] <> 0 THEN
      a[i] := coalesce(a[i], 0) + b[i];
    END IF;
  END LOOP;
  RETURN a;
END $$;

-- Locks the counters in key order and answers with what they say then.
DROP FUNCTION fovea_lock_counters(uuid[], timestamptz[]);
CREATE FUNCTION fovea_lock_counters(tenants uuid[], periods timestamptz[]) RETURNS SETOF quota_counter
LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT * FROM quota_counter
    WHERE tenant_id = ANY (tenants) AND meter = 'units' AND period = ANY (periods)
    ORDER BY tenant_id, meter, period FOR UPDATE;
END $$;

DROP FUNCTION fovea_reserve(json);
DROP TYPE fovea_reservation;
-- Holds units for each request that fits. The outcomes are those of ReserveOutcome in src/metering/reservation.ts. The first ten
-- arguments are columns; `months` are their periods, each once, and `distinct_tenants` is how many tenants there are.
CREATE FUNCTION fovea_reserve(ids uuid[], tenants uuid[], occurred timestamptz[], periods timestamptz[], asked bigint[],
  quotas bigint[], hard_limits boolean[], ttls bigint[], keys text[], hashes bytea[], months timestamptz[], distinct_tenants int)
RETURNS TABLE (request_id uuid, outcome text, remaining bigint, answer jsonb)
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off SET enable_nestloop = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  counters quota_counter[];
BEGIN
  -- A hold that a crash loses refuses one request; that is cheaper than an fsync before each. Whoever commits flushes the
  -- log up to its own end, and so its hold with it. (Not SET on the function: that would end before the transaction does.)
  PERFORM set_config('synchronous_commit', 'off', true);

  -- In key order, and before any is locked: else who waits for a counter that another inserts could hold one that it waits for.
  IF cardinality(months) > 1 OR distinct_tenants > (
    SELECT count(*) FROM quota_counter WHERE tenant_id = ANY (tenants) AND meter = 'units' AND period = ANY (months)) THEN
    INSERT INTO quota_counter (tenant_id, meter, period)
      SELECT DISTINCT r.tenant_id, 'units', r.period FROM unnest(tenants, periods) r (tenant_id, period)
      ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
  END IF;
  SELECT array_agg(c) INTO counters FROM fovea_lock_counters(tenants, months) c;

  -- An expired hold lets go of its key here, and of its units when it is swept: it may belong to last month's counter, whose
  -- lock is not held. Skipping what the sweeper has locked keeps this from waiting on it.
  IF cardinality(array_remove(keys, NULL)) > 0 THEN
    UPDATE quota_hold SET idempotency_key = NULL, request_hash = NULL
      WHERE request_id IN (
        SELECT h.request_id FROM quota_hold h
          WHERE h.tenant_id = ANY (tenants) AND h.idempotency_key = ANY (keys) AND h.expires_at <= now()
          FOR UPDATE SKIP LOCKED);
  END IF;

  RETURN QUERY
  WITH turn AS MATERIALIZED (
    SELECT r.*,
      CASE
        WHEN own.request_id IS NOT NULL THEN 'admitted'  -- asked again, the first answer having been lost on its way
        WHEN done.request_hash = r.request_hash THEN 'replay'
        WHEN done.request_hash IS NOT NULL THEN 'conflict'
        WHEN rival.request_hash = r.request_hash OR rival.expires_at <= now() THEN 'in-progress'
        WHEN rival.request_hash IS NOT NULL THEN 'conflict'
      END AS known,
      done.answer
    FROM unnest(ids, tenants, occurred, periods, asked, quotas, hard_limits, ttls, keys, hashes) WITH ORDINALITY
        r (request_id, tenant_id, occurred_at, period, units, quota, hard_limit, ttl_ms, idempotency_key, request_hash, ordinality)
      LEFT JOIN (SELECT request_id, tenant_id FROM quota_hold WHERE request_id = ANY (ids)) own
        ON own.request_id = r.request_id AND own.tenant_id = r.tenant_id
      -- LIMIT 1 keeps these index look-ups, one a request that has a key, whatever the planner thinks of the tables' sizes.
      LEFT JOIN LATERAL (SELECT i.request_hash, i.answer FROM idempotency i
        WHERE i.tenant_id = r.tenant_id AND i.key = r.idempotency_key AND i.expires_at > now() LIMIT 1) done ON true
      LEFT JOIN LATERAL (SELECT h.request_hash, h.expires_at FROM quota_hold h
        WHERE h.tenant_id = r.tenant_id AND h.idempotency_key = r.idempotency_key LIMIT 1) rival ON true
  ),
  -- What is left when a request's turn comes: the room less what was admitted before it.
  admission AS MATERIALIZED (
    SELECT r.*, r.room - fovea_admitted(r.units, r.room) OVER (
      PARTITION BY r.tenant_id, r.period ORDER BY r.ordinality ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS remaining
    FROM (SELECT t.*, CASE WHEN t.hard_limit THEN t.quota - c.used - c.reserved END AS room
      FROM turn t JOIN unnest(counters) c USING (tenant_id, period) WHERE t.known IS NULL) r
  ),
  held AS (
    INSERT INTO quota_hold (request_id, tenant_id, meter, period, occurred_at, units, expires_at, idempotency_key, request_hash)
    SELECT a.request_id, a.tenant_id, 'units', a.period, a.occurred_at, a.units, now() + a.ttl_ms * interval '1 millisecond',
           a.idempotency_key, a.request_hash
    FROM admission a WHERE a.remaining IS NULL OR a.units <= a.remaining
    -- At a month's turn two requests with one key can stand under two counters, and neither lock keeps the other out.
    ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING request_id, tenant_id, period, units
  ),
  counted AS (
    UPDATE quota_counter c SET reserved = c.reserved + s.units
    FROM (SELECT tenant_id, period, fovea_sum(units) AS units FROM held GROUP BY 1, 2) s
    WHERE c.tenant_id = ANY (tenants) AND c.meter = 'units' AND c.period = ANY (months)
      AND c.tenant_id = s.tenant_id AND c.period = s.period
  )
  SELECT t.request_id,
    CASE
      WHEN t.known IS NOT NULL THEN t.known
      WHEN h.request_id IS NOT NULL THEN 'admitted'
      WHEN a.units > a.remaining THEN 'quota-exceeded'
      ELSE 'in-progress'
    END,
    greatest(a.remaining, 0),
    CASE WHEN t.known = 'replay' THEN t.answer END
  FROM turn t LEFT JOIN admission a USING (request_id) LEFT JOIN held h USING (request_id);
END $$;

DROP FUNCTION fovea_commit(json);
DROP TYPE fovea_booking;
-- What is booked of what was held: no more than that.
CREATE FUNCTION fovea_within(asked bigint, held bigint, request uuid) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF asked > held THEN
    RAISE EXCEPTION 'request % books % units of % held', request, asked, held USING ERRCODE = 'check_violation';
  END IF;
  RETURN asked;
END $$;

-- Books each request whose hold is still there, and answers with those: whoever is missing found none. The DELETE is the
-- gate: of any number of commits of a request exactly one gets its hold, and period and hour come from it. All arguments but the last
-- are columns; `answers` has those that are to be kept, by request.
CREATE FUNCTION fovea_commit(ids uuid[], tenants uuid[], api_keys uuid[], members uuid[], operations text[], models text[],
  versions int[], compressions text[], image_counts int[], error_counts int[], cached int[], booked bigint[],
  latencies double precision[], buckets int[], answers jsonb)
RETURNS TABLE (request_id uuid, period timestamptz, used bigint, reserved bigint)
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off SET enable_nestloop = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  months timestamptz[];
BEGIN
  SELECT array_agg(DISTINCT h.period) INTO months FROM quota_hold h WHERE h.request_id = ANY (ids);
  PERFORM fovea_lock_counters(tenants, months);

  RETURN QUERY
  WITH hold AS (
    DELETE FROM quota_hold h USING unnest(ids, tenants, api_keys, members, operations, models, versions, compressions, image_counts,
        error_counts, cached, booked, latencies, buckets)
      b (request_id, tenant_id, api_key_id, member_id, operation, model, version, compression, images, errors, cached_images, units,
         latency_ms, latency_bucket)
    WHERE h.request_id = ANY (ids) AND h.request_id = b.request_id AND h.tenant_id = b.tenant_id
      AND (h.expires_at > now()) IS TRUE           -- IS TRUE keeps the planner off the expiry's index, and so off all live holds
    RETURNING h.period, h.occurred_at, h.units AS held_units, h.idempotency_key, h.request_hash, b.request_id, b.tenant_id, b.api_key_id,
      b.member_id, b.operation, b.model, b.version, b.compression, b.images, b.errors, b.cached_images, b.latency_ms, b.latency_bucket,
      fovea_within(b.units, h.units, b.request_id) AS units
  ),
  event AS (
    INSERT INTO usage_event (tenant_id, request_id, occurred_at, api_key_id, member_id, operation, model, version, compression,
                             images, errors, cached_images, units, latency_ms)
    SELECT tenant_id, request_id, occurred_at, api_key_id, member_id, operation, model, version, compression,
           images, errors, cached_images, units, latency_ms FROM hold
  ),
  hourly AS (
    INSERT INTO usage_hourly AS u (tenant_id, start, api_key_id, operation, model, compression,
                                   requests, images, errors, cached_images, units, latency)
    SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), api_key_id, operation, model, compression,
           count(*), sum(images), sum(errors), sum(cached_images), fovea_sum(units), fovea_histogram(latency_bucket)
    FROM hold GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant_id, start, api_key_id, operation, model, compression) DO UPDATE SET
      requests = u.requests + excluded.requests, images = u.images + excluded.images, errors = u.errors + excluded.errors,
      cached_images = u.cached_images + excluded.cached_images, units = u.units + excluded.units,
      latency = fovea_histogram_add(u.latency, excluded.latency)
  ),
  daily AS (
    INSERT INTO usage_daily AS u (tenant_id, start, api_key_id, operation, model, compression,
                                  requests, images, errors, cached_images, units, latency)
    SELECT tenant_id, date_trunc('day', occurred_at, 'UTC'), api_key_id, operation, model, compression,
           count(*), sum(images), sum(errors), sum(cached_images), fovea_sum(units), fovea_histogram(latency_bucket)
    FROM hold GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant_id, start, api_key_id, operation, model, compression) DO UPDATE SET
      requests = u.requests + excluded.requests, images = u.images + excluded.images, errors = u.errors + excluded.errors,
      cached_images = u.cached_images + excluded.cached_images, units = u.units + excluded.units,
      latency = fovea_histogram_add(u.latency, excluded.latency)
  ),
  answered AS (
    -- The key and the hash are the hold's: the answer belongs to the input that was admitted.
    INSERT INTO idempotency (tenant_id, key, request_hash, request_id, answer, expires_at)
    SELECT tenant_id, idempotency_key, request_hash, request_id, answers -> request_id::text, now() + interval '24 hours'
    FROM hold WHERE idempotency_key IS NOT NULL AND answers ? request_id::text
    ON CONFLICT (tenant_id, key) DO UPDATE SET          -- an expired answer that was not swept yet
      request_hash = excluded.request_hash, request_id = excluded.request_id, answer = excluded.answer,
      expires_at = excluded.expires_at
  ),
  counter AS (
    UPDATE quota_counter c SET used = c.used + s.units, reserved = c.reserved - s.held_units
    FROM (SELECT tenant_id, period, fovea_sum(units) AS units, fovea_sum(held_units) AS held_units FROM hold GROUP BY 1, 2) s
    WHERE c.tenant_id = ANY (tenants) AND c.meter = 'units' AND c.period = ANY (months)
      AND c.tenant_id = s.tenant_id AND c.period = s.period
    RETURNING c.tenant_id, c.period, c.used, c.reserved
  )
  SELECT h.request_id, c.period, c.used, c.reserved FROM hold h JOIN counter c USING (tenant_id, period);
END $$;

REVOKE ALL ON FUNCTION fovea_lock_counters, fovea_reserve, fovea_commit, fovea_within FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fovea_lock_counters, fovea_reserve, fovea_commit, fovea_within TO fovea_ledger;
