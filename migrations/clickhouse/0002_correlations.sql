-- What was found: patterns, the rows behind them, and what follows from them.

-- One live row per pattern. The first fifteen columns are RFD 003's.
-- shard by cityHash64(correlation_id)
CREATE TABLE IF NOT EXISTS correlations (
  correlation_id String,
  correlation_type LowCardinality(String),  -- deployment_cascade, error_propagation, latency_correlation, metric_correlation, event_pattern
  source_colony_id LowCardinality(String),
  source_service LowCardinality(String),
  source_timestamp DateTime64(3, 'UTC'),
  target_colony_id LowCardinality(String),
  target_service LowCardinality(String),
  target_timestamp DateTime64(3, 'UTC'),
  correlation_score Float64,              -- 0..1
  confidence Float64,                     -- 1 - q_value
  lag_seconds Int32,
  pattern_description String,
  occurrence_count UInt32,
  first_observed DateTime64(3, 'UTC'),
  last_observed DateTime64(3, 'UTC'),
  source_kind LowCardinality(String),     -- event, metric
  target_kind LowCardinality(String),
  source_signal LowCardinality(String),   -- event type or metric name
  target_signal LowCardinality(String),
  source_application LowCardinality(String),
  source_environment LowCardinality(String),
  target_application LowCardinality(String),
  target_environment LowCardinality(String),
  state LowCardinality(String),           -- candidate, confirmed, withdrawn
  coefficient Float64,                    -- Pearson's r with its sign, for metric pairs
  e_value Float64,
  q_value Float64,
  lag_low_seconds Int32,
  lag_high_seconds Int32,
  sample_count UInt64,
  explained_by Nullable(String),
  revision UInt64,                        -- 1 when first written, one more whenever a column above changes
  updated_at DateTime64(3, 'UTC'),        -- when that was
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY correlation_id;

-- All changes to the evidence of a pattern come in one insert and without partitions: one part, seen whole or not at all.
-- shard by cityHash64(correlation_id)
CREATE TABLE IF NOT EXISTS correlation_evidence (
  correlation_id String,
  source_ref String,                      -- event_id, or colony/service/metric
  target_ref String,
  source_timestamp DateTime64(3, 'UTC'),
  target_timestamp DateTime64(3, 'UTC'),
  lag_ms Int64,
  weight Float64,
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (correlation_id, source_ref, target_ref, source_timestamp, target_timestamp, lag_ms);

-- Which events stand in which patterns, replaced with the evidence.
-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS event_correlations (
  colony_id LowCardinality(String),
  event_id String,
  correlation_id String,
  role LowCardinality(String),            -- source, target
  score Float64,                          -- the pattern's correlation_score
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now(),
  INDEX by_correlation correlation_id TYPE bloom_filter GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (colony_id, event_id, correlation_id, role)
SETTINGS index_granularity = 1024;

-- shard by cityHash64(correlation_id)
CREATE TABLE IF NOT EXISTS predictions (
  prediction_id String,
  correlation_id String,
  source_colony_id LowCardinality(String),
  source_event_id String,
  target_colony_id LowCardinality(String),
  target_service LowCardinality(String),
  target_signal LowCardinality(String),
  issued_at DateTime64(3, 'UTC'),         -- event time of the source
  expected_from DateTime64(3, 'UTC'),
  expected_to DateTime64(3, 'UTC'),
  expires_at DateTime64(3, 'UTC'),
  probability Float64,
  outcome LowCardinality(String),         -- open, hit, miss, void
  matched_event_id Nullable(String),
  resolved_at Nullable(DateTime64(3, 'UTC')),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY prediction_id;

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS deployment_timeline (
  deployment_id String,
  colony_id LowCardinality(String),
  application_name LowCardinality(String),
  environment LowCardinality(String),
  service_id LowCardinality(String),
  from_version String,
  to_version String,
  started_at DateTime64(3, 'UTC'),
  completed_at Nullable(DateTime64(3, 'UTC')),  -- absent while running
  status LowCardinality(String),          -- running, success, failed, rolled_back
  impact_score Nullable(Float64),         -- 0..1
  issues_detected Array(String),
  related_events Array(String),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (colony_id, deployment_id);
