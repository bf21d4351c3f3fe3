-- What was found: patterns, the rows behind them, and what follows from them.

-- One live row per pattern. The first fifteen columns are RFD 003's.
CREATE TABLE correlations (
  correlation_id VARCHAR NOT NULL PRIMARY KEY,
  correlation_type VARCHAR NOT NULL,      -- deployment_cascade, error_propagation, latency_correlation, metric_correlation, event_pattern
  source_colony_id VARCHAR NOT NULL,
  source_service VARCHAR NOT NULL,
  source_timestamp TIMESTAMP NOT NULL,
  target_colony_id VARCHAR NOT NULL,
  target_service VARCHAR NOT NULL,
  target_timestamp TIMESTAMP NOT NULL,
  correlation_score DOUBLE NOT NULL,      -- 0..1
  confidence DOUBLE NOT NULL,             -- 1 - q_value
  lag_seconds INTEGER NOT NULL,
  pattern_description VARCHAR NOT NULL,
  occurrence_count UINTEGER NOT NULL,
  first_observed TIMESTAMP NOT NULL,
  last_observed TIMESTAMP NOT NULL,
  source_kind VARCHAR NOT NULL,           -- event, metric
  target_kind VARCHAR NOT NULL,
  source_signal VARCHAR NOT NULL,         -- event type or metric name
  target_signal VARCHAR NOT NULL,
  source_application VARCHAR NOT NULL,
  source_environment VARCHAR NOT NULL,
  target_application VARCHAR NOT NULL,
  target_environment VARCHAR NOT NULL,
  state VARCHAR NOT NULL,                 -- candidate, confirmed, withdrawn
  coefficient DOUBLE NOT NULL,            -- Pearson's r with its sign, for metric pairs
  e_value DOUBLE NOT NULL,
  q_value DOUBLE NOT NULL,
  lag_low_seconds INTEGER NOT NULL,
  lag_high_seconds INTEGER NOT NULL,
  sample_count UBIGINT NOT NULL,
  explained_by VARCHAR,
  revision UBIGINT NOT NULL,              -- 1 when first written, one more whenever a column above changes
  updated_at TIMESTAMP NOT NULL           -- when that was
);

-- No key: the evidence of a pattern is replaced as a whole.
CREATE TABLE correlation_evidence (
  correlation_id VARCHAR NOT NULL,
  source_ref VARCHAR NOT NULL,            -- event_id, or colony/service/metric
  target_ref VARCHAR NOT NULL,
  source_timestamp TIMESTAMP NOT NULL,
  target_timestamp TIMESTAMP NOT NULL,
  lag_ms BIGINT NOT NULL,
  weight DOUBLE NOT NULL
);

-- Which events stand in which patterns, replaced with the evidence.
CREATE TABLE event_correlations (
  colony_id VARCHAR NOT NULL,
  event_id VARCHAR NOT NULL,
  correlation_id VARCHAR NOT NULL,
  role VARCHAR NOT NULL,                  -- source, target
  score DOUBLE NOT NULL                   -- the pattern's correlation_score
);

CREATE TABLE predictions (
  prediction_id VARCHAR NOT NULL PRIMARY KEY,
  correlation_id VARCHAR NOT NULL,
  source_colony_id VARCHAR NOT NULL,
  source_event_id VARCHAR NOT NULL,
  target_colony_id VARCHAR NOT NULL,
  target_service VARCHAR NOT NULL,
  target_signal VARCHAR NOT NULL,
  issued_at TIMESTAMP NOT NULL,           -- event time of the source
  expected_from TIMESTAMP NOT NULL,
  expected_to TIMESTAMP NOT NULL,
  expires_at TIMESTAMP NOT NULL,
  probability DOUBLE NOT NULL,
  outcome VARCHAR NOT NULL,               -- open, hit, miss, void
  matched_event_id VARCHAR,
  resolved_at TIMESTAMP
);

-- One row per (colony_id, deployment_id), kept so by the writer: a list cannot be updated in a table with a key.
CREATE TABLE deployment_timeline (
  deployment_id VARCHAR NOT NULL,
  colony_id VARCHAR NOT NULL,
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  service_id VARCHAR NOT NULL,
  from_version VARCHAR NOT NULL,
  to_version VARCHAR NOT NULL,
  started_at TIMESTAMP NOT NULL,
  completed_at TIMESTAMP,                 -- absent while running
  status VARCHAR NOT NULL,                -- running, success, failed, rolled_back
  impact_score DOUBLE,                    -- 0..1
  issues_detected VARCHAR[] NOT NULL,
  related_events VARCHAR[] NOT NULL
);
