-- The ledger: what a tenant has used, what it holds for requests in flight, and every answered request, once.
--
-- A hold is inserted and deleted under the lock of its counter alone, and counters are locked in key order: so two
-- processes that work on many tenants at once wait for each other, and never in a circle. Roll-ups of a month are
-- written under that month's counter too, and need no order of their own.
--
-- What follows is written by the role fovea_ledger; fovea_app reads its own tenant's rows.

CREATE TABLE quota_counter (
  tenant_id uuid NOT NULL REFERENCES tenant,
  meter     text NOT NULL,
  period    timestamptz NOT NULL,                                -- the first instant of a UTC month
  used      bigint NOT NULL DEFAULT 0 CHECK (used >= 0),         -- no CHECK against a limit: plans may be soft, or lowered
  reserved  bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  PRIMARY KEY (tenant_id, meter, period)
) WITH (fillfactor = 50);                                        -- room for updates in place (HOT) on the hottest rows

CREATE TABLE quota_hold (
  request_id      uuid PRIMARY KEY,
  tenant_id       uuid NOT NULL,
  meter           text NOT NULL,
  period          timestamptz NOT NULL,
  occurred_at     timestamptz NOT NULL,
  units           bigint NOT NULL CHECK (units >= 0),
  expires_at      timestamptz NOT NULL,
  idempotency_key text,
  request_hash    bytea,
  CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000); -- small and churned, like a queue
CREATE UNIQUE INDEX quota_hold_idempotency ON quota_hold (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX quota_hold_expiry ON quota_hold (expires_at);

-- One row an answered request, never changed. There is no default partition: a row with no place is refused, and
-- fovea_make_usage_partitions makes places ahead of time.
CREATE TABLE usage_event (
  tenant_id     uuid NOT NULL,
  request_id    uuid NOT NULL,
  occurred_at   timestamptz NOT NULL,
  api_key_id    uuid,
  member_id     uuid,
  operation     text NOT NULL,
  model         text NOT NULL,
  version       int NOT NULL,
  compression   text NOT NULL,
  images        int NOT NULL CHECK (images >= 0),
  errors        int NOT NULL CHECK (errors >= 0),
  cached_images int NOT NULL CHECK (cached_images >= 0),
  units         bigint NOT NULL CHECK (units >= 0),
  latency_ms    double precision NOT NULL CHECK (latency_ms >= 0),
  PRIMARY KEY (tenant_id, request_id, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- `latency` counts requests by the buckets of src/metering/latency-histogram.ts.
CREATE TABLE usage_hourly (
  tenant_id     uuid NOT NULL,
  start         timestamptz NOT NULL,
  api_key_id    uuid,
  operation     text NOT NULL,
  model         text NOT NULL,
  compression   text NOT NULL,
  requests      bigint NOT NULL,
  images        bigint NOT NULL,
  errors        bigint NOT NULL,
  cached_images bigint NOT NULL,
  units         bigint NOT NULL,
  latency       bigint[] NOT NULL,
  UNIQUE NULLS NOT DISTINCT (tenant_id, start, api_key_id, operation, model, compression)
) WITH (fillfactor = 50);
CREATE TABLE usage_daily (LIKE usage_hourly INCLUDING ALL) WITH (fillfactor = 50);

CREATE TABLE idempotency (
  tenant_id    uuid NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  request_id   uuid NOT NULL,
  answer       jsonb NOT NULL,
  expires_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['quota_counter', 'quota_hold', 'usage_event', 'usage_hourly', 'usage_daily', 'idempotency'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR SELECT TO fovea_app USING (tenant_id = fovea_tenant())', name || '_own', name);
    EXECUTE format('CREATE POLICY %I ON %I TO fovea_ledger USING (true) WITH CHECK (true)', name || '_ledger', name);
    EXECUTE format('GRANT SELECT ON %I TO fovea_app, fovea_ledger', name);
  END LOOP;
END $$;
GRANT INSERT, UPDATE ON quota_counter, usage_hourly, usage_daily TO fovea_ledger;
GRANT INSERT, DELETE, UPDATE (idempotency_key, request_hash) ON quota_hold TO fovea_ledger;
GRANT INSERT ON usage_event TO fovea_ledger;
GRANT INSERT, UPDATE, DELETE ON idempotency TO fovea_ledger;

-- Events are evidence: not even the owner of the table edits them by mistake. A month leaves by detaching its partition.
CREATE FUNCTION fovea_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'usage events are never changed: % on % refused', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', HINT = 'To remove a whole month, detach its partition.';
END $$;
-- The row trigger is cloned to every partition by PostgreSQL; one for TRUNCATE is not, so each partition gets its own below.
CREATE TRIGGER usage_event_unchanged BEFORE UPDATE OR DELETE ON usage_event
  FOR EACH ROW EXECUTE FUNCTION fovea_refuse_change();
CREATE TRIGGER usage_event_untruncated BEFORE TRUNCATE ON usage_event
  FOR EACH STATEMENT EXECUTE FUNCTION fovea_refuse_change();

-- Makes the partitions of this month and of `months_ahead` more, where they are missing. It runs as its owner, since the
-- ledger's role may not create tables; hence the fixed search path and full names. Attaching, unlike CREATE … PARTITION OF,
-- lets commits go on. No one is granted a partition, and each has row-level security without a policy: the way to
-- events leads through the parent's policies.
CREATE FUNCTION fovea_make_usage_partitions(months_ahead int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  month timestamp;
  name text;
BEGIN
  IF months_ahead NOT BETWEEN 0 AND 24 THEN
    RAISE EXCEPTION 'months_ahead is %, expected 0 to 24', months_ahead USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('fovea_make_usage_partitions', 0));
  FOR i IN 0..months_ahead LOOP
    month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i);
    name := 'usage_event_' || to_char(month, 'YYYY_MM');
    CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.usage_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, fovea_app, fovea_ledger', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE TRIGGER usage_event_untruncated BEFORE TRUNCATE ON public.%I
                      FOR EACH STATEMENT EXECUTE FUNCTION public.fovea_refuse_change()', name);
    EXECUTE format('ALTER TABLE public.usage_event ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   name, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION fovea_make_usage_partitions(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fovea_make_usage_partitions(int) TO fovea_ledger;
SELECT fovea_make_usage_partitions(2);

-- Histograms: counting a bucket (numbered from 0, of `buckets`), and adding two of the same length.
CREATE FUNCTION fovea_histogram_count(counts bigint[], bucket int, buckets int) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
  IF bucket < 0 OR bucket >= buckets THEN
    RAISE EXCEPTION 'bucket is %, expected 0 to %', bucket, buckets - 1 USING ERRCODE = 'numeric_value_out_of_range';
  END IF;
  counts := coalesce(counts, array_fill(0::bigint, ARRAY[buckets]));
  counts[bucket + 1] := counts[bucket + 1] + 1;
  RETURN counts;
END $$;
CREATE AGGREGATE fovea_histogram(bucket int, buckets int) (SFUNC = fovea_histogram_count, STYPE = bigint[]);

CREATE FUNCTION fovea_histogram_add(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  FOR i IN 1..array_length(b, 1) LOOP
    IF b[i] <> 0 THEN
      a[i] := a[i] + b[i];
    END IF;
  END LOOP;
  RETURN a;
END $$;

-- Units admitted so far, in turn: who fits is added, who does not is passed over and blocks no smaller one behind it.
-- A `room` of null is endless.
CREATE FUNCTION fovea_admit(admitted bigint, units bigint, room bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN room IS NULL OR admitted + units <= room THEN admitted + units ELSE admitted END
$$;
CREATE AGGREGATE fovea_admitted(units bigint, room bigint) (SFUNC = fovea_admit, STYPE = bigint, INITCOND = '0');

-- The hot path. Each function is one statement to its caller, hence one round trip and one transaction, and does the work
-- of everyone who waits in one process: `batch` is a JSON array, in which no request and no idempotency key stands twice.
-- Inside, every statement has a snapshot of its own (READ COMMITTED, VOLATILE): what is read after the lock is current.
--
-- Plans are made once and by rule, because statistics of tables that fill and empty like queues are always wrong: a plan made
-- while quota_hold was empty would walk through all its rows later. So sequential scans are off; a row is looked up by an array
-- of keys, or laterally with LIMIT 1, either of which leaves an index as the only way; and where nested loops are off too,
-- that is because joining two small sets of unknown size must not be quadratic. (JIT is off since the cost of a plan
-- that does what is "off" looks immense.)

CREATE TYPE fovea_reservation AS (
  request_id uuid, tenant_id uuid, occurred_at timestamptz, period timestamptz, units bigint, quota bigint,
  hard_limit boolean, ttl_ms bigint, idempotency_key text, request_hash bytea
);

CREATE FUNCTION fovea_lock_counters(tenants uuid[], periods timestamptz[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM quota_counter
    WHERE tenant_id = ANY (tenants) AND meter = 'units' AND period = ANY (periods)
    ORDER BY tenant_id, meter, period FOR UPDATE;
END $$;

-- Holds units for each request that fits. The outcomes are those of ReserveOutcome in src/metering/reservation.ts.
CREATE FUNCTION fovea_reserve(batch json)
RETURNS TABLE (request_id uuid, outcome text, remaining bigint, answer jsonb)
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  asked fovea_reservation[];
  tenants uuid[];
  periods timestamptz[];
  keys text[];
BEGIN
  -- A hold that a crash loses refuses one request; that is cheaper than an fsync before each. Whoever commits flushes the
  -- log up to its own end, and so its hold with it. (Not SET on the function: that would end before the transaction does.)
  PERFORM set_config('synchronous_commit', 'off', true);

  SELECT array_agg(r), array_agg(DISTINCT r.tenant_id), array_agg(DISTINCT r.period),
         array_agg(r.idempotency_key) FILTER (WHERE r.idempotency_key IS NOT NULL)
    INTO asked, tenants, periods, keys
    FROM json_populate_recordset(NULL::fovea_reservation, batch) r;

  INSERT INTO quota_counter (tenant_id, meter, period)
    SELECT DISTINCT r.tenant_id, 'units', r.period FROM unnest(asked) r ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING;
  PERFORM fovea_lock_counters(tenants, periods);

  -- An expired hold lets go of its key here, and of its units when it is swept: it may belong to last month's counter, whose
  -- lock is not held. Skipping what the sweeper has locked keeps this from waiting on it.
  IF keys IS NOT NULL THEN
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
        WHEN own.found THEN 'admitted'             -- asked again, the first answer having been lost on its way
        WHEN done.request_hash = r.request_hash THEN 'replay'
        WHEN done.request_hash IS NOT NULL THEN 'conflict'
        WHEN rival.request_hash = r.request_hash OR rival.expires_at <= now() THEN 'in-progress'
        WHEN rival.request_hash IS NOT NULL THEN 'conflict'
      END AS known,
      done.answer
    FROM unnest(asked) WITH ORDINALITY r
      -- LIMIT 1 keeps these index look-ups, one a request, whatever the planner thinks of the tables' sizes.
      LEFT JOIN LATERAL (SELECT true AS found FROM quota_hold h
        WHERE h.request_id = r.request_id AND h.tenant_id = r.tenant_id LIMIT 1) own ON true
      LEFT JOIN LATERAL (SELECT i.request_hash, i.answer FROM idempotency i
        WHERE i.tenant_id = r.tenant_id AND i.key = r.idempotency_key AND i.expires_at > now() LIMIT 1) done ON true
      LEFT JOIN LATERAL (SELECT h.request_hash, h.expires_at FROM quota_hold h
        WHERE h.tenant_id = r.tenant_id AND h.idempotency_key = r.idempotency_key LIMIT 1) rival ON true
  ),
  room AS (
    SELECT t.*, CASE WHEN t.hard_limit THEN t.quota - c.used - c.reserved END AS room
    FROM turn t JOIN LATERAL (SELECT used, reserved FROM quota_counter c
      WHERE c.tenant_id = t.tenant_id AND c.meter = 'units' AND c.period = t.period LIMIT 1) c ON true
    WHERE t.known IS NULL
  ),
  -- What is left when a request's turn comes: the room less what was admitted before it.
  admission AS MATERIALIZED (
    SELECT r.*, r.room - fovea_admitted(r.units, r.room) OVER (
      PARTITION BY r.tenant_id, r.period ORDER BY r.ordinality ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS remaining
    FROM room r
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
    FROM (SELECT tenant_id, period, sum(units)::bigint AS units FROM held GROUP BY 1, 2) s
    WHERE c.tenant_id = ANY (tenants) AND c.meter = 'units' AND c.period = ANY (periods)
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

CREATE TYPE fovea_booking AS (
  request_id uuid, tenant_id uuid, api_key_id uuid, member_id uuid, operation text, model text, version int, compression text,
  images int, errors int, cached_images int, units bigint, latency_ms double precision, latency_bucket int,
  latency_buckets int, answer jsonb
);

-- Books each request whose hold is still there, and answers with those: whoever is missing found none. The DELETE is the
-- gate: of any number of commits of a request exactly one gets its hold, and period and hour come from it.
CREATE FUNCTION fovea_commit(batch json)
RETURNS TABLE (request_id uuid, period timestamptz, used bigint, reserved bigint)
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off SET enable_nestloop = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  asked fovea_booking[];
  ids uuid[];
  tenants uuid[];
  periods timestamptz[];
  overdrawn text;
BEGIN
  SELECT array_agg(b), array_agg(b.request_id) INTO asked, ids
    FROM json_populate_recordset(NULL::fovea_booking, batch) b;

  SELECT array_agg(DISTINCT h.tenant_id), array_agg(DISTINCT h.period),
         min(format('request %s books %s units of %s held', b.request_id, b.units, h.units)) FILTER (WHERE b.units > h.units)
    INTO tenants, periods, overdrawn
    FROM quota_hold h JOIN unnest(asked) b USING (request_id, tenant_id) WHERE h.request_id = ANY (ids);
  IF overdrawn IS NOT NULL THEN
    RAISE EXCEPTION '%', overdrawn USING ERRCODE = 'check_violation';
  END IF;
  PERFORM fovea_lock_counters(tenants, periods);

  RETURN QUERY
  WITH hold AS (
    DELETE FROM quota_hold h USING unnest(asked) b
    WHERE h.request_id = ANY (ids) AND h.request_id = b.request_id AND h.tenant_id = b.tenant_id
      AND (h.expires_at > now()) IS TRUE           -- IS TRUE keeps the planner off the expiry's index, and so off all live holds
    RETURNING h.period, h.occurred_at, h.units AS held_units, h.idempotency_key, h.request_hash, b.*
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
           count(*), sum(images), sum(errors), sum(cached_images), sum(units), fovea_histogram(latency_bucket, latency_buckets)
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
           count(*), sum(images), sum(errors), sum(cached_images), sum(units), fovea_histogram(latency_bucket, latency_buckets)
    FROM hold GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant_id, start, api_key_id, operation, model, compression) DO UPDATE SET
      requests = u.requests + excluded.requests, images = u.images + excluded.images, errors = u.errors + excluded.errors,
      cached_images = u.cached_images + excluded.cached_images, units = u.units + excluded.units,
      latency = fovea_histogram_add(u.latency, excluded.latency)
  ),
  answered AS (
    -- The key and the hash are the hold's: the answer belongs to the input that was admitted.
    INSERT INTO idempotency (tenant_id, key, request_hash, request_id, answer, expires_at)
    SELECT tenant_id, idempotency_key, request_hash, request_id, answer, now() + interval '24 hours'
    FROM hold WHERE idempotency_key IS NOT NULL AND answer IS NOT NULL
    ON CONFLICT (tenant_id, key) DO UPDATE SET          -- an expired answer that was not swept yet
      request_hash = excluded.request_hash, request_id = excluded.request_id, answer = excluded.answer,
      expires_at = excluded.expires_at
  ),
  counter AS (
    UPDATE quota_counter c SET used = c.used + s.units, reserved = c.reserved - s.held_units
    FROM (SELECT tenant_id, period, sum(units)::bigint AS units, sum(held_units)::bigint AS held_units FROM hold GROUP BY 1, 2) s
    WHERE c.tenant_id = ANY (tenants) AND c.meter = 'units' AND c.period = ANY (periods)
      AND c.tenant_id = s.tenant_id AND c.period = s.period
    RETURNING c.tenant_id, c.period, c.used, c.reserved
  )
  SELECT h.request_id, c.period, c.used, c.reserved FROM hold h JOIN counter c USING (tenant_id, period);
END $$;

-- Gives back what the requests hold; a request that holds nothing is passed over. Answers with the number of holds ended.
CREATE FUNCTION fovea_release(requests uuid[], of_tenants uuid[]) RETURNS int
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off SET enable_nestloop = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  tenants uuid[];
  periods timestamptz[];
  ended int;
BEGIN
  -- As with a reservation: a release that a crash loses is made good by the sweeper.
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT array_agg(DISTINCT tenant_id), array_agg(DISTINCT period) INTO tenants, periods
    FROM quota_hold WHERE request_id = ANY (requests);
  PERFORM fovea_lock_counters(tenants, periods);
  WITH hold AS (
    DELETE FROM quota_hold h USING unnest(requests, of_tenants) r (request_id, tenant_id)
    WHERE h.request_id = ANY (requests) AND h.request_id = r.request_id AND h.tenant_id = r.tenant_id
    RETURNING h.tenant_id, h.period, h.units
  ),
  counter AS (
    UPDATE quota_counter c SET reserved = c.reserved - s.units
    FROM (SELECT tenant_id, period, sum(units)::bigint AS units FROM hold GROUP BY 1, 2) s
    WHERE c.tenant_id = ANY (tenants) AND c.meter = 'units' AND c.period = ANY (periods)
      AND c.tenant_id = s.tenant_id AND c.period = s.period
  )
  SELECT count(*) INTO ended FROM hold;
  RETURN ended;
END $$;

-- Ends up to `at_most` expired holds, oldest first, and answers with how many. Expiry never moves, so what was expired when it
-- was picked still is when it is released.
CREATE FUNCTION fovea_sweep_holds(at_most int) RETURNS int
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  requests uuid[];
  of_tenants uuid[];
BEGIN
  SELECT array_agg(request_id), array_agg(tenant_id) INTO requests, of_tenants
    FROM (SELECT request_id, tenant_id FROM quota_hold WHERE expires_at <= now() ORDER BY expires_at LIMIT at_most) expired;
  IF requests IS NULL THEN
    RETURN 0;
  END IF;
  RETURN fovea_release(requests, of_tenants);
END $$;

-- Forgets up to `at_most` answers whose 24 hours are over, and says how many. It waits for no one: what a commit is
-- overwriting at this moment is no longer expired.
CREATE FUNCTION fovea_sweep_answers(at_most int) RETURNS int
LANGUAGE plpgsql
SET search_path = public, pg_temp SET jit = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  forgotten int;
BEGIN
  WITH expired AS MATERIALIZED (
    SELECT tenant_id, key FROM idempotency WHERE expires_at <= now() ORDER BY expires_at LIMIT at_most FOR UPDATE SKIP LOCKED
  )
  DELETE FROM idempotency i USING expired e WHERE i.tenant_id = e.tenant_id AND i.key = e.key;
  GET DIAGNOSTICS forgotten = ROW_COUNT;
  RETURN forgotten;
END $$;

-- They act with their caller's rights: the grant is a second lock on the door.
REVOKE ALL ON FUNCTION fovea_lock_counters(uuid[], timestamptz[]), fovea_reserve(json), fovea_commit(json),
  fovea_release(uuid[], uuid[]), fovea_sweep_holds(int), fovea_sweep_answers(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fovea_lock_counters(uuid[], timestamptz[]), fovea_reserve(json), fovea_commit(json),
  fovea_release(uuid[], uuid[]), fovea_sweep_holds(int), fovea_sweep_answers(int) TO fovea_ledger;
