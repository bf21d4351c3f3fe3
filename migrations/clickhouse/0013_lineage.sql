-- A row of evidence says what it counts for, and its part in the law of the lag.

-- match, early (matched, not counted by the score yet), lag (not matched, only says how long it takes).
ALTER TABLE correlation_evidence ADD COLUMN IF NOT EXISTS role String DEFAULT 'match' AFTER weight;
-- Weight in the law of the lag.
ALTER TABLE correlation_evidence ADD COLUMN IF NOT EXISTS lag_weight Float64 DEFAULT 0 AFTER role;
