-- The timeline of deployments is written by an operator from now on: it is created from its description (DERIVED in
-- sinks/src/schema.rs). No version before this one wrote a row of it.
DROP TABLE deployment_timeline;
