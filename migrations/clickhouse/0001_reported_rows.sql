-- What colonies report, and the hourly summary of an environment.
-- Times are UTC. Names and columns follow RFD 003, columns it lacks stand below its own.
--
-- In every table of the store: the row with the greatest ingest_version of a sorting key is the one that counts (FINAL
-- shows it before the engine has merged), removed = 1 says that it is gone, and stored_at is when it was written. Time
-- limits (TTL) are set from the configuration when the store is opened.

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS federated_metrics (
  colony_id LowCardinality(String),
  application_name LowCardinality(String),
  environment LowCardinality(String),
  service_id LowCardinality(String),
  metric_name LowCardinality(String),
  timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, LZ4),   -- start of the bucket
  p50 Nullable(Float64),
  p95 Nullable(Float64),
  p99 Nullable(Float64),
  mean Nullable(Float64),
  max_value Nullable(Float64),
  sample_count Nullable(UInt64),
  interval_seconds UInt32,                -- 0: the source does not say
  late Bool,                              -- beyond the allowed lateness: stored, not correlated
  ingest_version UInt64 CODEC(DoubleDelta, LZ4),
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now() CODEC(DoubleDelta, LZ4)
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (colony_id, application_name, environment, service_id, metric_name, interval_seconds, timestamp)
SETTINGS index_granularity = 1024;        -- a granule is 17 hours of a minute series, so that an hour is found cheaply

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS federated_events (
  event_id String,
  colony_id LowCardinality(String),
  application_name LowCardinality(String),
  environment LowCardinality(String),
  timestamp DateTime64(3, 'UTC'),
  event_type LowCardinality(String),
  service_id LowCardinality(String),
  severity LowCardinality(String),        -- info, warning, error, critical
  description String,
  metadata String,                        -- a JSON object of text values
  correlation_group Nullable(String),     -- correlation_id of the best-scored link, all links: event_correlations
  correlation_score Nullable(Float64),    -- its score, 0..1
  version UInt64,                         -- newer content of the same event has a higher one
  withdrawn Bool,                         -- taken back: kept, so that an older copy does not rise again
  late Bool,
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now(),
  INDEX by_time timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (colony_id, event_id)
SETTINGS index_granularity = 1024;

-- Recomputed from federated_metrics by the commit that touches an hour.
-- shard by cityHash64(application_name, environment)
CREATE TABLE IF NOT EXISTS env_metric_summary (
  application_name LowCardinality(String),
  environment LowCardinality(String),
  metric_name LowCardinality(String),
  hour DateTime64(3, 'UTC'),
  mean_p95 Nullable(Float64),             -- mean of the buckets' p95 (mean where p95 is absent), weighted by samples, not a p95
  max_value Nullable(Float64),
  total_samples UInt64,
  points UInt64,                          -- buckets in the hour
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
PARTITION BY toYYYYMM(hour)
ORDER BY (application_name, environment, metric_name, hour);
