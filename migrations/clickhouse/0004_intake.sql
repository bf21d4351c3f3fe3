-- How far the sources have been read, and what was refused on the way.

-- Written last by a commit: what stands here has all of its rows in the other tables.
-- shard by cityHash64(source)
CREATE TABLE IF NOT EXISTS source_positions (
  source String,
  part String,                            -- a file, a colony, a topic/partition
  position String,                        -- meaning is the source's own
  updated_at DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (source, part);

-- shard by cityHash64(source)
CREATE TABLE IF NOT EXISTS rejects (
  source String,
  place String,                           -- e.g. events.ndjson:17
  colony_id Nullable(String),
  reason LowCardinality(String),
  detail String,
  raw String,
  rejected_at DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (source, place);

-- What whole commits have brought per colony: the newest row, and which colonies make up an environment. Without
-- transactions the rows themselves may be ahead of the last whole commit, so they cannot be asked.
-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS watermarks (
  colony_id String,
  application_name String,
  environment String,
  kind LowCardinality(String),            -- event, metric (rows on time), late_metric
  newest DateTime64(3, 'UTC'),
  ingest_version UInt64
)
ENGINE = ReplacingMergeTree(newest)
ORDER BY (colony_id, application_name, environment, kind);
