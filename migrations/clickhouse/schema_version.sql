-- shard by version
CREATE TABLE IF NOT EXISTS schema_version (version UInt32, applied_at DateTime64(3, 'UTC'))
ENGINE = ReplacingMergeTree(applied_at) ORDER BY version
