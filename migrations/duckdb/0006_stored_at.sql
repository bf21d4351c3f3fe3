-- When a row was stored: it is kept for its retention from then, or from its own time if that is later.
-- Rows that are there already count from this step on: what was imported before is not deleted at once.
ALTER TABLE federated_metrics ADD COLUMN stored_at TIMESTAMP;
ALTER TABLE federated_events ADD COLUMN stored_at TIMESTAMP;
