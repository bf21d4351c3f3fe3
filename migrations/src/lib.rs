//! The schema of the stores as numbered steps, applied in order and recorded in `schema_version`.
//!
//! | folder | store |
//! |---|---|
//! | `duckdb/` | one SQL file per step, statements separated by `;` |
//! | `clickhouse/` | the same steps; a comment `shard by …` above a table says how a cluster spreads it |
//!
//! Steps are data. DuckDB applies each one in a transaction of its own, together with its row in `schema_version`;
//! ClickHouse has none, so each of its statements can be repeated and the row comes last. A step that has been released
//! is never edited; a change is a new step, with the same number and name for both stores.

use thiserror::Error;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number; the first is 1, and there are no holes.
    pub version: u32,
    /// What it brings.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// Creates `schema_version` when it is missing; run before anything else, as often as one likes.
pub const DUCKDB_SCHEMA_VERSION_TABLE: &str = include_str!("../duckdb/schema_version.sql");

/// The steps of the DuckDB store.
pub const DUCKDB: &[Migration] = &[
    Migration { version: 1, name: "reported rows", sql: include_str!("../duckdb/0001_reported_rows.sql") },
    Migration { version: 2, name: "correlations", sql: include_str!("../duckdb/0002_correlations.sql") },
    Migration { version: 3, name: "fleet", sql: include_str!("../duckdb/0003_fleet.sql") },
    Migration { version: 4, name: "intake", sql: include_str!("../duckdb/0004_intake.sql") },
    Migration { version: 5, name: "withdrawn events", sql: include_str!("../duckdb/0005_withdrawn_events.sql") },
    Migration { version: 6, name: "stored at", sql: include_str!("../duckdb/0006_stored_at.sql") },
    Migration { version: 7, name: "late copies", sql: include_str!("../duckdb/0007_late_copies.sql") },
    Migration { version: 8, name: "metric series", sql: include_str!("../duckdb/0008_metric_series.sql") },
    Migration {
        version: 9,
        name: "corrections and refusals",
        sql: include_str!("../duckdb/0009_corrections_and_refusals.sql"),
    },
    Migration { version: 10, name: "reasons", sql: include_str!("../duckdb/0010_reasons.sql") },
    Migration { version: 11, name: "deployments", sql: include_str!("../duckdb/0011_deployments.sql") },
    Migration { version: 12, name: "predictions", sql: include_str!("../duckdb/0012_predictions.sql") },
    Migration { version: 13, name: "lineage", sql: include_str!("../duckdb/0013_lineage.sql") },
];

/// Creates `schema_version` in ClickHouse when it is missing.
pub const CLICKHOUSE_SCHEMA_VERSION_TABLE: &str = include_str!("../clickhouse/schema_version.sql");

/// Creates ClickHouse's table of writers when it is missing; the process that applies steps is already in it.
pub const CLICKHOUSE_WRITERS_TABLE: &str = include_str!("../clickhouse/writers.sql");

/// The steps of the ClickHouse store.
pub const CLICKHOUSE: &[Migration] = &[
    Migration { version: 1, name: "reported rows", sql: include_str!("../clickhouse/0001_reported_rows.sql") },
    Migration { version: 2, name: "correlations", sql: include_str!("../clickhouse/0002_correlations.sql") },
    Migration { version: 3, name: "fleet", sql: include_str!("../clickhouse/0003_fleet.sql") },
    Migration { version: 4, name: "intake", sql: include_str!("../clickhouse/0004_intake.sql") },
    Migration { version: 5, name: "withdrawn events", sql: include_str!("../clickhouse/0005_withdrawn_events.sql") },
    Migration { version: 6, name: "stored at", sql: include_str!("../clickhouse/0006_stored_at.sql") },
    Migration { version: 7, name: "late copies", sql: include_str!("../clickhouse/0007_late_copies.sql") },
    Migration { version: 8, name: "metric series", sql: include_str!("../clickhouse/0008_metric_series.sql") },
    Migration {
        version: 9,
        name: "corrections and refusals",
        sql: include_str!("../clickhouse/0009_corrections_and_refusals.sql"),
    },
    Migration { version: 10, name: "reasons", sql: include_str!("../clickhouse/0010_reasons.sql") },
    Migration { version: 11, name: "deployments", sql: include_str!("../clickhouse/0011_deployments.sql") },
    Migration { version: 12, name: "predictions", sql: include_str!("../clickhouse/0012_predictions.sql") },
    Migration { version: 13, name: "lineage", sql: include_str!("../clickhouse/0013_lineage.sql") },
];

/// The newest schema this program knows.
pub const KNOWN_VERSION: u32 = 13;

/// Why a store cannot be brought to the known version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MigrationError {
    /// A newer program wrote it; going on could destroy what that program relies on.
    #[error(
        "the store has schema version {stored}, this program knows versions up to {known}: use the program that wrote \
         the store, or a newer one"
    )]
    TooNew {
        /// Version found in the store.
        stored: u32,
        /// Newest version known here.
        known: u32,
    },
}

/// The steps that a store at version `stored` (0 when empty) still lacks.
///
/// ```
/// use coral_migrations::{DUCKDB, KNOWN_VERSION, pending};
/// assert_eq!(pending(DUCKDB, 0).unwrap().len(), KNOWN_VERSION as usize);
/// assert!(pending(DUCKDB, KNOWN_VERSION).unwrap().is_empty());
/// assert!(pending(DUCKDB, KNOWN_VERSION + 1).is_err());
/// ```
pub fn pending(steps: &'static [Migration], stored: u32) -> Result<&'static [Migration], MigrationError> {
    let known = steps.last().map_or(0, |step| step.version);
    if stored > known {
        return Err(MigrationError::TooNew { stored, known });
    }
    Ok(&steps[steps.partition_point(|step| step.version <= stored)..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_count_from_one_without_holes_up_to_the_known_version() {
        for steps in [DUCKDB, CLICKHOUSE] {
            let versions: Vec<u32> = steps.iter().map(|step| step.version).collect();
            assert_eq!(versions, (1..=KNOWN_VERSION).collect::<Vec<_>>());
        }
    }

    #[test]
    fn both_stores_have_the_same_steps() {
        let named = |steps: &[Migration]| steps.iter().map(|step| (step.version, step.name)).collect::<Vec<_>>();
        assert_eq!(named(DUCKDB), named(CLICKHOUSE));
    }

    #[test]
    fn every_clickhouse_step_can_be_repeated_and_says_how_its_tables_are_spread() {
        for sql in
            CLICKHOUSE.iter().map(|step| step.sql).chain([CLICKHOUSE_SCHEMA_VERSION_TABLE, CLICKHOUSE_WRITERS_TABLE])
        {
            let count = |what: &str| sql.matches(what).count();
            assert_eq!(count("CREATE TABLE "), count("CREATE TABLE IF NOT EXISTS "), "{sql}");
            assert_eq!(count("CREATE TABLE "), count("-- shard by "), "{sql}");
            assert_eq!(count("DROP TABLE "), count("DROP TABLE IF EXISTS "), "{sql}");
            // a column may be modified again: the second time changes nothing
            let repeatable = count(" ADD COLUMN IF NOT EXISTS ") + count(" MODIFY COLUMN ");
            assert_eq!(count("ALTER TABLE "), repeatable, "{sql}");
        }
    }

    #[test]
    fn file_names_agree_with_versions() {
        for (folder, steps) in [("duckdb", DUCKDB), ("clickhouse", CLICKHOUSE)] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut numbered: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| !["schema_version.sql", "writers.sql"].contains(&name.as_str()))
                .collect();
            numbered.sort();
            let expected: Vec<String> =
                steps.iter().map(|step| format!("{:04}_{}.sql", step.version, step.name.replace(' ', "_"))).collect();
            assert_eq!(numbered, expected);
        }
    }

    #[test]
    fn a_store_in_between_gets_the_rest() {
        let rest = pending(DUCKDB, 2).unwrap();
        assert_eq!(rest.iter().map(|step| step.version).collect::<Vec<_>>(), (3..=KNOWN_VERSION).collect::<Vec<_>>());
    }

    #[test]
    fn a_newer_store_is_refused_with_both_versions() {
        let error = pending(DUCKDB, KNOWN_VERSION + 1).unwrap_err();
        assert_eq!(error, MigrationError::TooNew { stored: KNOWN_VERSION + 1, known: KNOWN_VERSION });
        assert!(error.to_string().contains(&format!("version {}", KNOWN_VERSION + 1)), "{error}");
    }
}
