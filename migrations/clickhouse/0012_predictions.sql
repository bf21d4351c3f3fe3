-- Predictions are written by an operator from now on: the table is created from its description (DERIVED in
-- sinks/src/schema.rs), with the columns that it had and more, and spread by its key. No version before this one wrote a
-- row of it.
DROP TABLE IF EXISTS predictions;
