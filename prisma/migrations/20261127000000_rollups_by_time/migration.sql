-- For whoever reads a month of all tenants, as the check of the ledger does. Rows come in the order of time, so that an index of ranges
-- is enough; it costs who books next to nothing.
CREATE INDEX usage_hourly_start ON usage_hourly USING brin (start) WITH (autosummarize = on);
CREATE INDEX usage_daily_start ON usage_daily USING brin (start) WITH (autosummarize = on);
