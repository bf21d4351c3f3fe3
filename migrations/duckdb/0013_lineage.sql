-- A row of evidence says what it counts for, and its part in the law of the lag.

ALTER TABLE correlation_evidence ADD COLUMN role VARCHAR DEFAULT 'match';   -- match, early, lag
ALTER TABLE correlation_evidence ADD COLUMN lag_weight DOUBLE DEFAULT 0;    -- weight in the law of the lag
