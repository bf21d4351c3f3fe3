-- Names of metric series stand once: a bucket carries the number of its series. Writing a bucket's five names cost two
-- thirds of a commit.

CREATE TABLE metric_series (
  series_id UINTEGER NOT NULL,            -- given in the order of arrival
  colony_id VARCHAR NOT NULL,
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  service_id VARCHAR NOT NULL,
  metric_name VARCHAR NOT NULL,
  interval_seconds UINTEGER NOT NULL      -- 0: the source does not say
);

-- One row per (series_id, timestamp); kept so by the writer.
CREATE TABLE metric_buckets (
  series_id UINTEGER NOT NULL,
  timestamp TIMESTAMP NOT NULL,           -- start of the bucket
  p50 DOUBLE,
  p95 DOUBLE,
  p99 DOUBLE,
  mean DOUBLE,
  max_value DOUBLE,
  sample_count UBIGINT,
  late BOOLEAN NOT NULL,                  -- beyond the allowed lateness: stored, not correlated
  stored_at TIMESTAMP
);

INSERT INTO metric_series
SELECT (row_number() OVER () - 1)::UINTEGER, *
FROM (SELECT DISTINCT colony_id, application_name, environment, service_id, metric_name, interval_seconds
      FROM federated_metrics);

INSERT INTO metric_buckets BY NAME
SELECT series_id, timestamp, p50, p95, p99, mean, max_value, sample_count, late, stored_at
FROM federated_metrics
JOIN metric_series USING (colony_id, application_name, environment, service_id, metric_name, interval_seconds);

DROP TABLE federated_metrics;

-- To be read as before.
CREATE VIEW federated_metrics AS
SELECT colony_id, application_name, environment, service_id, metric_name, timestamp, p50, p95, p99, mean, max_value,
       sample_count, interval_seconds, late, stored_at
FROM metric_buckets JOIN metric_series USING (series_id);
