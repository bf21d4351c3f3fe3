//! Lineage: the query of docs/methods.md over the rows of evidence gives what is stored of every event pattern.

use super::clickhouse_storage;
use crate::clickhouse::InDatabase;
use crate::support::clickhouse::Server;
use crate::support::page::{self, fences};
use crate::support::{Reef, files_source, json, program};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Count, score and lag of the event patterns that are stored.
const STORED: &str = "SELECT correlation_id, occurrence_count, correlation_score, lag_seconds FROM correlations
                      WHERE source_kind = 'event' AND target_kind = 'event' ORDER BY correlation_id";

/// Rows of evidence of event patterns whose events are stored as the row says, with the lag between them.
const TRACED: &str = "
    SELECT count(*) FROM correlation_evidence AS pair
    JOIN correlations AS pattern ON pattern.correlation_id = pair.correlation_id
    JOIN federated_events AS source ON source.colony_id = pattern.source_colony_id
     AND source.event_id = pair.source_ref AND source.timestamp = pair.source_timestamp
    JOIN federated_events AS target ON target.colony_id = pattern.target_colony_id
     AND target.event_id = pair.target_ref AND target.timestamp = pair.target_timestamp
    WHERE epoch_ms(target.timestamp) - epoch_ms(source.timestamp) = pair.lag_ms";

/// The query of the page.
fn query() -> String {
    let mut found = fences(&page::read("docs/methods.md"), "sql");
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// The same in ClickHouse, whose tables hold former copies of rows too.
fn final_rows(sql: &str) -> String {
    ["FROM correlation_evidence", "FROM correlations"]
        .iter()
        .fold(sql.to_owned(), |sql, table| sql.replace(table, &format!("{table} FINAL")))
}

/// Count, score and lag by pattern.
fn parsed(rows: &str) -> BTreeMap<String, [f64; 3]> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |field: usize| fields[field].parse::<f64>().unwrap_or_else(|error| panic!("{error}: {line}"));
        (fields[0].to_owned(), [number(1), number(2), number(3)])
    };
    rows.lines().map(line).collect()
}

fn assert_reproduced(found: &BTreeMap<String, [f64; 3]>, stored: &BTreeMap<String, [f64; 3]>) {
    assert!(stored.len() >= 100, "{} patterns are too few", stored.len());
    assert!(found.keys().eq(stored.keys()), "patterns without a row: {} of {}", found.len(), stored.len());
    for (id, [count, score, lag]) in stored {
        let [found_count, found_score, found_lag] = found[id];
        assert!(
            found_count.to_bits() == count.to_bits()
                && (found_score - score).abs() < 1e-12
                && found_lag.to_bits() == lag.to_bits(),
            "{id}: {:?} instead of {:?}",
            found[id],
            stored[id]
        );
    }
}

/// A fleet with planted relations, and with far more candidates.
fn fleet(folder: &Path) -> String {
    let out = folder.join("fleet");
    let mut generate = Command::new(program("coral-pipeline"));
    generate.args(["generate", "--seed", "11", "--colonies", "14", "--days", "30", "--json", "--out"]);
    json(&generate.arg(&out).output().unwrap());
    files_source(&[&out.join("events.ndjson")], &[])
}

#[test]
fn the_rows_of_evidence_give_count_score_and_lag_in_duckdb() {
    let folder = tempfile::tempdir().unwrap();
    let reef = Reef::new(&fleet(folder.path()));
    reef.run();
    assert_reproduced(&parsed(&reef.query(&query())), &parsed(&reef.query(STORED)));
    let states = reef.query("SELECT DISTINCT state FROM correlations");
    assert!(states.contains("candidate") && states.contains("confirmed"), "{states}");
    // every row names two events that are stored, and their lag
    assert_eq!(reef.query(TRACED), reef.query("SELECT count(*) FROM correlation_evidence"));
    // what only says how long it takes is no occurrence: no event is linked for it
    let links = "SELECT count(*) FROM (SELECT correlation_id, source_ref FROM correlation_evidence WHERE role <> 'lag'
                 EXCEPT SELECT correlation_id, event_id FROM event_correlations WHERE role = 'source')";
    assert_eq!(reef.query(links), "0\n");
    assert_ne!(reef.query("SELECT count(*) FROM correlation_evidence WHERE role = 'lag'"), "0\n");
}

#[test]
fn the_rows_of_evidence_give_count_score_and_lag_in_clickhouse() {
    let Some(server) = Server::any() else { return };
    let folder = tempfile::tempdir().unwrap();
    let fixture = InDatabase::new(&server);
    let reef = Reef::with_storage(&fleet(folder.path()), &clickhouse_storage(&server, fixture.name()));
    reef.run();
    let asked =
        |sql: &str| parsed(&server.query(fixture.name(), &format!("{} FORMAT TSV", final_rows(sql).trim_end())));
    assert_reproduced(&asked(&query()), &asked(STORED));
}
