-- What the fleet looks like: services, the calls between them, and how the colonies are doing.

CREATE TABLE service_nodes (
  colony_id VARCHAR NOT NULL,
  service_id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  version VARCHAR NOT NULL,
  status VARCHAR NOT NULL,
  first_seen_at TIMESTAMP NOT NULL,
  last_seen_at TIMESTAMP NOT NULL,
  PRIMARY KEY (colony_id, service_id)
);

CREATE TABLE service_edges (
  colony_id VARCHAR NOT NULL,
  from_service VARCHAR NOT NULL,
  to_service VARCHAR NOT NULL,
  protocol VARCHAR NOT NULL,
  request_count UBIGINT NOT NULL,         -- as the colony last stated it
  first_seen_at TIMESTAMP NOT NULL,
  last_seen_at TIMESTAMP NOT NULL,
  PRIMARY KEY (colony_id, from_service, to_service, protocol)
);

CREATE TABLE colony_status (
  colony_id VARCHAR NOT NULL PRIMARY KEY,
  application_name VARCHAR NOT NULL,
  environment VARCHAR NOT NULL,
  health VARCHAR NOT NULL,                -- healthy, degraded, unhealthy, unreachable, unknown
  total_services UINTEGER NOT NULL,
  healthy_services UINTEGER NOT NULL,
  degraded_services UINTEGER NOT NULL,
  unhealthy_services UINTEGER NOT NULL,
  agent_count UINTEGER,
  last_success_at TIMESTAMP,
  complete_to TIMESTAMP,                  -- everything up to here has been received
  last_error VARCHAR NOT NULL,
  updated_at TIMESTAMP NOT NULL
);
