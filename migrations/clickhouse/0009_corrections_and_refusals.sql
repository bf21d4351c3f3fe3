-- Corrections of metric buckets, refused rows beyond those that are kept, and whose store this is.

-- A correction has a higher version than what it corrects, and wins whatever its values; 0 where none was said.
ALTER TABLE federated_metrics ADD COLUMN IF NOT EXISTS version UInt64 DEFAULT 0 AFTER sample_count;
ALTER TABLE late_metric_copies ADD COLUMN IF NOT EXISTS version UInt64 DEFAULT 0 AFTER sample_count;

-- The part of source_positions that the place lies in; empty where none is known.
ALTER TABLE rejects ADD COLUMN IF NOT EXISTS part String
  DEFAULT if(startsWith(source, 'colony-') OR source = 'store', '', replaceRegexpOne(place, '(:|@| row )[0-9]+$', ''));

-- Of one part and reason so many rows are kept in rejects; of the rest only the number is.
-- shard by cityHash64(source)
CREATE TABLE IF NOT EXISTS rejects_omitted (
  source String,
  part String,
  reason LowCardinality(String),
  omitted UInt64,                         -- refused, counted, and not kept
  counted_to String,                      -- up to which place they are counted, so that none is counted twice
  updated_at DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (source, part, reason);

-- The reef whose rows these are. None until a reef has written here.
-- shard by cityHash64(reef_id)
CREATE TABLE IF NOT EXISTS store_owner (
  reef_id String,
  since DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY reef_id;
