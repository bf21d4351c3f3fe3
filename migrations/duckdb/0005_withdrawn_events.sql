-- Events can be taken back.

-- The event is taken back: it is kept, so that an older copy does not rise again, and counts as if it had never been.
-- DuckDB adds a column with a default first and takes no new NOT NULL constraint in the same transaction; the writer
-- always fills it.
ALTER TABLE federated_events ADD COLUMN withdrawn BOOLEAN DEFAULT false;
