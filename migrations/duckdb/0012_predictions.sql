-- Predictions are written by an operator from now on: the table is created from its description (DERIVED in
-- sinks/src/schema.rs), with the columns that it had and more. No version before this one wrote a row of it.
DROP TABLE predictions;
