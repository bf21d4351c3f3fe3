-- What colonies report, and the hourly summary of an environment.
-- Times are UTC. Names and columns follow RFD 003; columns it lacks stand below its own.

-- One row per (colony_id, application_name, environment, service_id, metric_name, interval_seconds, timestamp).
-- The writer keeps it so, by a look-up inside each commit; a unique index over seven columns doubled the cost of a
-- commit and the size of the file.
CREATE TABLE federated_metrics (
  colony_id VARCHAR NOT NULL,
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  service_id VARCHAR NOT NULL,
  metric_name VARCHAR NOT NULL,
  timestamp TIMESTAMP NOT NULL,           -- start of the bucket
  p50 DOUBLE,
  p95 DOUBLE,
  p99 DOUBLE,
  mean DOUBLE,
  max_value DOUBLE,
  sample_count UBIGINT,
  interval_seconds UINTEGER NOT NULL,     -- 0: the source does not say
  late BOOLEAN NOT NULL                   -- beyond the allowed lateness: stored, not correlated
);

-- One row per (colony_id, event_id); kept so by the writer, as above.
CREATE TABLE federated_events (
  event_id VARCHAR NOT NULL,
  colony_id VARCHAR NOT NULL,
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  timestamp TIMESTAMP NOT NULL,
  event_type VARCHAR NOT NULL,
  service_id VARCHAR NOT NULL,
  severity VARCHAR NOT NULL,              -- info, warning, error, critical
  description VARCHAR NOT NULL,
  metadata VARCHAR NOT NULL,              -- a JSON object of text values
  correlation_group VARCHAR,              -- correlation_id of the best-scored link; all links: event_correlations
  correlation_score DOUBLE,               -- its score, 0..1
  version UBIGINT NOT NULL,               -- newer content of the same event has a higher one
  late BOOLEAN NOT NULL
);

-- Recomputed from federated_metrics by the commit that touches an hour.
CREATE TABLE env_metric_summary (
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  metric_name VARCHAR NOT NULL,
  hour TIMESTAMP NOT NULL,
  mean_p95 DOUBLE,                        -- mean of the buckets' p95 (mean where p95 is absent), weighted by samples; not a p95
  max_value DOUBLE,
  total_samples UBIGINT NOT NULL,
  points UBIGINT NOT NULL,                -- buckets in the hour
  PRIMARY KEY (application_name, environment, metric_name, hour)
);
