-- Late copies of rows that are stored on time: amendments, withdrawals and fuller buckets beyond the allowed lateness.

-- federated_metrics and federated_events go on showing the copy on time, which is what has been correlated. A copy stays
-- here, one per row, while it is greater than the one shown; a backfill or a replay makes it the one shown.
CREATE TABLE late_metric_copies (
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
  late BOOLEAN NOT NULL,                  -- always true, so that a row is the same in both tables
  stored_at TIMESTAMP NOT NULL
);

CREATE TABLE late_event_copies (
  event_id VARCHAR NOT NULL,
  colony_id VARCHAR NOT NULL,
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  timestamp TIMESTAMP NOT NULL,           -- of this copy
  event_type VARCHAR NOT NULL,
  service_id VARCHAR NOT NULL,
  severity VARCHAR NOT NULL,              -- info, warning, error, critical
  description VARCHAR NOT NULL,
  metadata VARCHAR NOT NULL,              -- a JSON object of text values
  version UBIGINT NOT NULL,
  withdrawn BOOLEAN NOT NULL,
  late BOOLEAN NOT NULL,                  -- always true
  stored_at TIMESTAMP NOT NULL
);
