-- How far the sources have been read, and what was refused on the way.

CREATE TABLE source_positions (
  source VARCHAR NOT NULL,
  part VARCHAR NOT NULL,                  -- a file, a colony, a topic/partition
  position VARCHAR NOT NULL,              -- meaning is the source's own
  updated_at TIMESTAMP NOT NULL,
  PRIMARY KEY (source, part)
);

CREATE TABLE rejects (
  source VARCHAR NOT NULL,
  place VARCHAR NOT NULL,                 -- e.g. events.ndjson:17
  colony_id VARCHAR,
  reason VARCHAR NOT NULL,
  detail VARCHAR NOT NULL,
  raw VARCHAR NOT NULL,
  rejected_at TIMESTAMP NOT NULL,
  PRIMARY KEY (source, place)
);
