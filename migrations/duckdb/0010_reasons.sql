-- A pattern says why it is not confirmed, what was judged, and what is still open.

ALTER TABLE correlations ADD COLUMN reason VARCHAR;             -- why it is not confirmed, in words; null when it is
ALTER TABLE correlations ADD COLUMN chance_level DOUBLE;        -- how often chance alone does this, 0..1
ALTER TABLE correlations ADD COLUMN effective_points DOUBLE;    -- independent points that the compared ones are worth; metrics
ALTER TABLE correlations ADD COLUMN judged_coefficient DOUBLE;  -- r without the daily profile, or of differences; metrics
ALTER TABLE correlations ADD COLUMN part_of VARCHAR;            -- correlation_id of the more specific pattern it follows from
ALTER TABLE correlations ADD COLUMN open_count UINTEGER DEFAULT 0;  -- sources whose time for a target has not passed; events
ALTER TABLE correlations ADD COLUMN open_until TIMESTAMP;       -- when the last of them has had its time
