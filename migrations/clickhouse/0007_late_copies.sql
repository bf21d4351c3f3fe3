-- Late copies of rows that are stored on time: amendments, withdrawals and fuller buckets beyond the allowed lateness.

-- federated_metrics and federated_events go on showing the copy on time, which is what has been correlated. A copy stays
-- here, one per row, while it is greater than the one shown; a backfill or a replay makes it the one shown. They are few,
-- and without partitions: a copy replaces an older one with another time wherever it lies.
-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS late_metric_copies (
  colony_id LowCardinality(String),
  application_name LowCardinality(String),
  environment LowCardinality(String),
  service_id LowCardinality(String),
  metric_name LowCardinality(String),
  timestamp DateTime64(3, 'UTC'),         -- start of the bucket
  p50 Nullable(Float64),
  p95 Nullable(Float64),
  p99 Nullable(Float64),
  mean Nullable(Float64),
  max_value Nullable(Float64),
  sample_count Nullable(UInt64),
  interval_seconds UInt32,                -- 0: the source does not say
  late Bool,                              -- always true, so that a row is the same in both tables
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (colony_id, application_name, environment, service_id, metric_name, interval_seconds, timestamp);

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS late_event_copies (
  event_id String,
  colony_id LowCardinality(String),
  application_name LowCardinality(String),
  environment LowCardinality(String),
  timestamp DateTime64(3, 'UTC'),         -- of this copy
  event_type LowCardinality(String),
  service_id LowCardinality(String),
  severity LowCardinality(String),        -- info, warning, error, critical
  description String,
  metadata String,                        -- a JSON object of text values
  version UInt64,
  withdrawn Bool,
  late Bool,                              -- always true
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (colony_id, event_id);
