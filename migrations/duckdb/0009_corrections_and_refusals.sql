-- Corrections of metric buckets, refused rows beyond those that are kept, and whose store this is.

-- A correction has a higher version than what it corrects, and wins whatever its values; 0 where none was said.
ALTER TABLE metric_buckets ADD COLUMN version UBIGINT DEFAULT 0;
ALTER TABLE late_metric_copies ADD COLUMN version UBIGINT DEFAULT 0;

CREATE OR REPLACE VIEW federated_metrics AS
SELECT colony_id, application_name, environment, service_id, metric_name, timestamp, p50, p95, p99, mean, max_value,
       sample_count, interval_seconds, late, stored_at, version
FROM metric_buckets JOIN metric_series USING (series_id);

-- One row per (source, place), kept so by the writer: with a key each row cost a look-up of its own.
CREATE TABLE rejects_without_key (
  source VARCHAR NOT NULL,
  place VARCHAR NOT NULL,                 -- e.g. events.ndjson:17
  colony_id VARCHAR,
  reason VARCHAR NOT NULL,
  detail VARCHAR NOT NULL,
  raw VARCHAR NOT NULL,
  rejected_at TIMESTAMP NOT NULL,
  part VARCHAR NOT NULL                   -- the part of source_positions that the place lies in; empty where none is known
);

INSERT INTO rejects_without_key
SELECT source, place, colony_id, reason, detail, raw, rejected_at,
       CASE WHEN starts_with(source, 'colony-') OR source = 'store' THEN ''
            ELSE regexp_replace(place, '(:|@| row )[0-9]+$', '') END
FROM rejects;

DROP TABLE rejects;
ALTER TABLE rejects_without_key RENAME TO rejects;

-- Of one part and reason so many rows are kept in rejects; of the rest only the number is.
CREATE TABLE rejects_omitted (
  source VARCHAR NOT NULL,
  part VARCHAR NOT NULL,
  reason VARCHAR NOT NULL,
  omitted UBIGINT NOT NULL,               -- refused, counted, and not kept
  counted_to VARCHAR NOT NULL,            -- up to which place they are counted, so that none is counted twice
  updated_at TIMESTAMP NOT NULL,
  PRIMARY KEY (source, part, reason)
);

-- The reef whose rows these are. None until a reef has written here.
CREATE TABLE store_owner (
  reef_id VARCHAR NOT NULL PRIMARY KEY,
  since TIMESTAMP NOT NULL
);
