-- Who writes: one process at a time. Made before the steps, since whoever applies them writes already.
-- shard by cityHash64(token)
CREATE TABLE IF NOT EXISTS writers (
  token String,                           -- one opening of the store
  state LowCardinality(String),           -- asks, holds, released (after it held), stepped_back
  host String,
  process_id UInt32,
  process_start UInt64,                   -- in ticks of the machine's clock: tells it from a later process with its number
  machine String,                         -- which run of which kernel, and which of its process namespaces; empty if unknown
  since DateTime64(3, 'UTC'),
  expires_at DateTime64(3, 'UTC'),        -- by the server's clock; put off while the process lives
  ingest_version UInt64
)
ENGINE = ReplacingMergeTree(ingest_version)
ORDER BY token
TTL toDateTime(expires_at, 'UTC') + toIntervalDay(1)
