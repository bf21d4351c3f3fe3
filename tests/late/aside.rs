//! Late copies of on-time rows: stored separately, and after a backfill or a replay the state is that of an in-order
//! run, on both stores.

use super::{Arrival, case, config, copies, in_order, live, time_of};
use crate::clickhouse::InDatabase;
use crate::determinism::START;
use crate::stores::clickhouse_storage;
use crate::support::clickhouse::Server;
use crate::support::tables::{Tables, assert_equal, tables};
use mesh::Network;
use model::clock::SystemClock;
use model::rows::Rows;
use model::time::{DAY_MS, HOUR_MS};
use pipelines::replay::{Recording, Request, Task, TimeRange, replay};
use pipelines::run::RunOptions;
use std::path::Path;

/// Rows as they came in time, and copies of some of them that come when it is too late for them: amendments, withdrawals,
/// fuller buckets.
fn with_late_copies(seed: u64) -> (Vec<Rows>, Vec<Rows>) {
    let (mut late, mut on_time): (Vec<Rows>, Vec<Rows>) = copies(seed).into_iter().partition(|copy| {
        let is_newer = copy.events.first().is_some_and(|event| event.version > 0 || event.withdrawn);
        is_newer && time_of(copy) < START + 12 * DAY_MS
    });
    let oldest =
        |rows: &&Rows| rows.metrics.first().is_some_and(|point| point.timestamp < START + 17 * DAY_MS + 8 * HOUR_MS);
    let fuller: Vec<Rows> = on_time
        .iter()
        .filter(oldest)
        .step_by(3)
        .map(|rows| {
            let point = rows.metrics.first().unwrap();
            let mean = point.mean.map(|mean| model::real::Real(mean.0 + 0.25));
            let fuller = model::metric::MetricPoint { count: Some(12), mean, ..point };
            Rows { metrics: vec![fuller].into(), ..Rows::default() }
        })
        .collect();
    // they include a bucket and an event that were never on time
    let never = on_time.iter().position(|rows| oldest(&rows)).unwrap();
    late.push(on_time.remove(never));
    late.extend(fuller);
    (on_time, late)
}

/// The tables without state that depends on the route: positions of replays, the gate.
pub(super) fn rows_only(mut tables: Tables) -> Tables {
    tables.remove("source_positions");
    tables
}

/// Replays everything into another file, or without one into the store itself: how many late rows now count.
fn again(storage: &str, into: Option<&Path>) -> u64 {
    let config = config(2, 100, storage);
    let request = Request {
        task: if into.is_some() { Task::Replay } else { Task::Backfill },
        range: TimeRange { from: START - 10 * DAY_MS, to: START + 40 * DAY_MS },
        words: ("a".to_owned(), "b".to_owned()),
        recording: Recording::Stored,
        into: into.map(Path::to_owned),
        what_if: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let (options, _controls) = RunOptions::new(SystemClock::shared(), Network::plain());
        replay(&config, &request, options).await.unwrap().repaired
    })
}

/// Live, then late copies, a replay into another store, a backfill, a restart, the late copies again: compares the tables
/// at each step.
fn late_copies_count_after_a_backfill(
    seed: u64,
    storage: impl Fn(&str) -> String,
    tables: impl Fn(&str) -> Tables,
    into: Option<&Path>,
) {
    let (on_time, late) = with_late_copies(seed);
    assert!(late.iter().filter(|rows| !rows.events.is_empty()).count() > 10 && late.len() > 60, "{}", late.len());
    let case = case("live", 2, 50, 100, 2);
    let all: Vec<Rows> = on_time.iter().chain(&late).cloned().collect();
    assert_eq!(live(&in_order(&all), &case, &storage("in_order")), 0);
    let expected = rows_only(tables("in_order"));
    assert_eq!(live(&in_order(&on_time), &case, &storage("live")), 0);
    let before = rows_only(tables("live"));

    let last = in_order(&on_time).last().unwrap().at;
    let too_late: Vec<Arrival> = late.iter().map(|rows| Arrival { at: last, rows: rows.clone() }).collect();
    assert_eq!(live(&too_late, &case, &storage("live")), late.len() as u64, "each is counted");
    let after = rows_only(tables("live"));
    for table in ["correlations", "correlation_evidence", "event_correlations", "federated_events"] {
        assert_eq!(after[table], before[table], "{table} depends on the on-time copies");
    }
    let lines = |tables: &Tables, table: &str| tables[table].lines().count();
    assert!(lines(&after, "late_event_copies") > 10 && lines(&after, "late_metric_copies") > 50);
    assert_ne!(before["correlations"], expected["correlations"], "they would change the result");

    if let Some(into) = into {
        again(&storage("live"), Some(into));
        assert_equal(&rows_only(crate::support::tables::tables(into)), &expected, "replayed into another store");
        assert_equal(&rows_only(tables("live")), &after, "which leaves the live store unchanged");
    }
    let repaired = again(&storage("live"), None);
    let kept = lines(&after, "late_event_copies") + lines(&after, "late_metric_copies");
    assert_eq!(repaired, kept as u64 + 1, "the newest copies, and the bucket that was missing");
    assert_equal(&rows_only(tables("live")), &expected, "after the backfill");
    assert_eq!(live(&too_late, &case, &storage("live")), late.len() as u64, "late again");
    assert_equal(&rows_only(tables("live")), &expected, "restarted, with the late copies again");
    assert_eq!(again(&storage("live"), None), 0);
    assert_equal(&rows_only(tables("live")), &expected, "after a second backfill");
}

#[test]
fn late_amendments_withdrawals_and_fuller_buckets_count_after_a_backfill_as_if_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for seed in [11, 12] {
        let path = |name: &str| folder.path().join(format!("{name}-{seed}.duckdb"));
        let into = path("into");
        late_copies_count_after_a_backfill(
            seed,
            |name| super::at_path(&path(name)),
            |name| tables(&path(name)),
            Some(&into),
        );
    }
}

#[test]
fn the_same_holds_on_clickhouse() {
    let Some(server) = Server::any() else { return };
    let (in_order, live) = (InDatabase::new(&server), InDatabase::new(&server));
    let of = |name: &str| if name == "live" { &live } else { &in_order };
    late_copies_count_after_a_backfill(
        11,
        |name| clickhouse_storage(&server, of(name).name()),
        |name| {
            let table = |(table, mut rows): (String, Vec<String>)| {
                if table == "correlations" {
                    // the last column, the revision, depends on the run and not on the rows
                    rows.iter_mut().for_each(|row| row.truncate(row.rfind('\t').unwrap()));
                }
                (table, rows.into_iter().map(|row| row + "\n").collect())
            };
            of(name).rows().into_iter().map(table).collect()
        },
        None,
    );
}
