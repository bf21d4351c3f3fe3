-- The timeline of deployments is written by an operator from now on, as DERIVED in sinks/src/schema.rs describes it.

-- deployment, rollback, or observed: seen in a topology and reported by no event.
ALTER TABLE deployment_timeline ADD COLUMN IF NOT EXISTS kind LowCardinality(String) AFTER related_events;
-- The event ids of its reports, by time.
ALTER TABLE deployment_timeline ADD COLUMN IF NOT EXISTS reported_by Array(String) AFTER kind;
-- What the reporting tools call it.
ALTER TABLE deployment_timeline ADD COLUMN IF NOT EXISTS reported_as Array(String) AFTER reported_by;
