-- A pattern says why it is not confirmed, what was judged, and what is still open.

-- Why it is not confirmed, in words; null when it is.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS reason Nullable(String) AFTER explained_by;
-- How often chance alone does this, 0..1.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS chance_level Nullable(Float64) AFTER reason;
-- Independent points that the compared ones are worth; metrics.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS effective_points Nullable(Float64) AFTER chance_level;
-- r without the daily profile, or of differences; metrics.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS judged_coefficient Nullable(Float64) AFTER effective_points;
-- The correlation_id of the more specific pattern that it follows from.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS part_of Nullable(String) AFTER judged_coefficient;
-- Sources whose time for a target has not passed; events.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS open_count UInt32 DEFAULT 0 AFTER part_of;
-- When the last of them has had its time.
ALTER TABLE correlations ADD COLUMN IF NOT EXISTS open_until Nullable(DateTime64(3, 'UTC')) AFTER open_count;
