-- What the fleet looks like: services, the calls between them, and how the colonies are doing.

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS service_nodes (
  colony_id LowCardinality(String),
  service_id String,
  name String,
  version String,
  status LowCardinality(String),
  first_seen_at DateTime64(3, 'UTC'),
  last_seen_at DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (colony_id, service_id);

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS service_edges (
  colony_id LowCardinality(String),
  from_service String,
  to_service String,
  protocol String,
  request_count UInt64,                   -- as the colony last stated it
  first_seen_at DateTime64(3, 'UTC'),
  last_seen_at DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY (colony_id, from_service, to_service, protocol);

-- shard by cityHash64(colony_id)
CREATE TABLE IF NOT EXISTS colony_status (
  colony_id String,
  application_name LowCardinality(String),
  environment LowCardinality(String),
  health LowCardinality(String),          -- healthy, degraded, unhealthy, unreachable, unknown
  total_services UInt32,
  healthy_services UInt32,
  degraded_services UInt32,
  unhealthy_services UInt32,
  agent_count Nullable(UInt32),
  last_success_at Nullable(DateTime64(3, 'UTC')),
  complete_to Nullable(DateTime64(3, 'UTC')),  -- everything up to here has been received
  last_error String,
  updated_at DateTime64(3, 'UTC'),
  ingest_version UInt64,
  removed UInt8 DEFAULT 0,
  stored_at DateTime('UTC') DEFAULT now()
)
ENGINE = ReplacingMergeTree(ingest_version, removed)
ORDER BY colony_id;
