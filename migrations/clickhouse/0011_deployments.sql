-- The timeline of deployments is written by an operator from now on, as DERIVED in sinks/src/schema.rs describes it. No
-- version before this one wrote a row of it.

-- What is unknown is null, as in every derived table.
ALTER TABLE deployment_timeline MODIFY COLUMN application_name Nullable(String);
ALTER TABLE deployment_timeline MODIFY COLUMN environment Nullable(String);
ALTER TABLE deployment_timeline MODIFY COLUMN service_id Nullable(String);
ALTER TABLE deployment_timeline MODIFY COLUMN from_version Nullable(String);
ALTER TABLE deployment_timeline MODIFY COLUMN to_version Nullable(String);
ALTER TABLE deployment_timeline MODIFY COLUMN status Nullable(String);
-- deployment, rollback, or observed: seen in a topology and reported by no event.
ALTER TABLE deployment_timeline ADD COLUMN IF NOT EXISTS kind Nullable(String) AFTER related_events;
-- The event ids of its reports, by time.
ALTER TABLE deployment_timeline ADD COLUMN IF NOT EXISTS reported_by Array(String) AFTER kind;
-- What the reporting tools call it.
ALTER TABLE deployment_timeline ADD COLUMN IF NOT EXISTS reported_as Array(String) AFTER reported_by;
