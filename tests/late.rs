//! Late truth: rows that come late, repeated, reordered, amended or withdrawn end in the state of an in-order run, row for
//! row, through the real lateness gate, pipeline and store, across restarts.

use self::aside::rows_only;
use crate::determinism::{START, rows};
use crate::support::tables::{Tables, assert_equal, tables};
use async_trait::async_trait;
use fixtures::random::Random;
use mesh::Network;
use model::clock::SystemClock;
use model::event::Event;
use model::position::Positions;
use model::rows::Rows;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use pipelines::config::{Format, ReefConfig, parse};
use pipelines::run::{RunOptions, drive};
use sources::{Batch, Source, SourceError};
use std::path::Path;

mod aside;

const ALLOWED_LATENESS_MS: i64 = 6 * HOUR_MS;

/// One row on its way.
#[derive(Clone)]
struct Arrival {
    at: TimeMs,
    rows: Rows,
}

/// A live source: the lateness gate judges its rows.
struct Live {
    batches: std::vec::IntoIter<Rows>,
}

#[async_trait]
impl Source for Live {
    fn name(&self) -> &str {
        "live"
    }

    fn is_finite(&self) -> bool {
        false
    }

    async fn next_batch(&mut self) -> Result<Option<Batch>, SourceError> {
        let Some(rows) = self.batches.next() else { return Ok(None) };
        // the same text for any order, so that this table can be compared as well
        let positions = Positions([("all".to_owned(), "read".to_owned())].into());
        Ok(Some(Batch { rows, positions, ..Batch::default() }))
    }
}

fn config(workers: usize, tick_rows_max: usize, storage: &str) -> ReefConfig {
    let text = format!(
        "reef_id = \"late-a1b2c3\"\nname = \"late\"\n\
         [[sources]]\nkind = \"files\"\nevents = [\"unused.ndjson\"]\n\
         [collection]\nallowed_lateness = \"6h\"\n\
         [correlation]\nhorizon = \"12d\"\nmax_lag = \"1h\"\nmetric_window = \"6h\"\n\
         [engine]\nworkers = {workers}\ntick_rows_max = {tick_rows_max}\n{storage}"
    );
    parse(&text, Format::Toml, Path::new("reef.toml")).unwrap()
}

fn time_of(row: &Rows) -> TimeMs {
    row.events.first().map(|event| event.timestamp).or(row.metrics.first().map(|point| point.timestamp)).unwrap()
}

/// Every copy of every row: the seeded rows, amendments in several steps and withdrawals of some events.
fn copies(seed: u64) -> Vec<Rows> {
    let (events, metrics) = rows(seed);
    let mut random = Random(seed ^ 0xa11e);
    let mut copies: Vec<Rows> = Vec::new();
    let one = |event: Event| Rows { events: vec![event], ..Rows::default() };
    for event in events {
        let amended = |version: u64, shift_ms: i64| Event {
            version,
            timestamp: event.timestamp + shift_ms,
            description: format!("version {version}"),
            ..event.clone()
        };
        // up to three hours to either side: the greatest time may move back
        let shift_ms = random.below(6 * HOUR_MS as u64) as i64 - 3 * HOUR_MS;
        match random.below(8) {
            0 => copies.push(one(amended(1, shift_ms))),
            1 => copies.push(one(Event { withdrawn: true, ..amended(0, 0) })),
            2 => {
                copies.push(one(Event { withdrawn: true, ..amended(1, shift_ms) }));
                copies.push(one(amended(2, shift_ms / 2)));
            }
            3 => {
                copies.push(one(Event { service_id: "worker".to_owned(), ..amended(1, 0) }));
                copies.push(one(Event { withdrawn: true, ..amended(7, shift_ms) }));
            }
            _ => {}
        }
        copies.push(one(event));
    }
    // the very last event is moved back: the stored rows then show an earlier time than was seen
    let last = copies.iter().filter_map(|copy| copy.events.first()).max_by_key(|event| event.timestamp).unwrap();
    let back = Event { version: 9, timestamp: last.timestamp - 2 * HOUR_MS, ..last.clone() };
    copies.push(one(back));
    let from = START + 17 * DAY_MS;
    let recent = metrics.into_iter().filter(|point| point.timestamp >= from);
    copies.extend(recent.map(|point| Rows { metrics: vec![point].into(), ..Rows::default() }));
    copies
}

/// As they happened: each copy arrives at its own time.
fn in_order(copies: &[Rows]) -> Vec<Arrival> {
    let mut arrivals: Vec<Arrival> =
        copies.iter().map(|rows| Arrival { at: time_of(rows), rows: rows.clone() }).collect();
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// Each copy arrives up to the allowed lateness after its time, a third of them twice.
fn disturbed(copies: &[Rows], random: &mut Random) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for rows in copies {
        for _ in 0..=u64::from(random.below(3) == 0) {
            // a fifth at the very edge
            let delay_ms = match random.below(5) {
                0 => ALLOWED_LATENESS_MS,
                _ => random.below(ALLOWED_LATENESS_MS as u64) as i64,
            };
            arrivals.push(Arrival { at: time_of(rows) + delay_ms, rows: rows.clone() });
        }
    }
    random.shuffle(&mut arrivals);
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// How a run takes its rows in.
struct Case {
    name: &'static str,
    workers: usize,
    batch_rows: usize,
    tick_rows_max: usize,
    /// Runs that share the rows among them, one after the other.
    runs: usize,
}

/// Drives the arrivals into a store in a fresh folder; returns its tables and how many rows were late.
fn outcome(arrivals: &[Arrival], case: &Case) -> (Tables, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reef.duckdb");
    let late = live(arrivals, case, &at_path(&path));
    (tables(&path), late)
}

fn at_path(path: &Path) -> String {
    format!("[storage]\npath = {:?}\n", path.display().to_string())
}

/// Drives the arrivals into a store, in as many runs as the case has; returns how many rows were late.
fn live(arrivals: &[Arrival], case: &Case, storage: &str) -> u64 {
    let config = config(case.workers, case.tick_rows_max, storage);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut late = 0;
    for part in arrivals.chunks(arrivals.len().div_ceil(case.runs)) {
        let batches: Vec<Rows> = part
            .chunks(case.batch_rows.min(part.len()))
            .map(|chunk| {
                let mut batch = Rows::default();
                chunk.iter().for_each(|arrival| batch.append(arrival.rows.clone()));
                batch
            })
            .collect();
        late += runtime.block_on(async {
            let store = pipelines::open::store::open(&config).await.unwrap();
            let (options, _controls) = RunOptions::new(SystemClock::shared(), Network::plain());
            let source: Box<dyn Source> = Box::new(Live { batches: batches.into_iter() });
            let (summary, store) = drive(&config, store, vec![source], options).await.unwrap();
            store.close().await.unwrap();
            summary.progress.late
        });
    }
    late
}

fn case(name: &'static str, workers: usize, batch_rows: usize, tick_rows_max: usize, runs: usize) -> Case {
    Case { name, workers, batch_rows, tick_rows_max, runs }
}

#[test]
fn rows_late_repeated_amended_and_withdrawn_end_as_in_order() {
    let mut found = 0;
    for seed in [11, 12, 13] {
        eprintln!("late truth: seed {seed}");
        let copies = copies(seed);
        let (expected, late) = outcome(&in_order(&copies), &case("in order", 1, 100, 100, 1));
        assert_eq!(late, 0);
        found += expected["correlations"].lines().count();
        assert!(expected["federated_events"].lines().any(|row| row.contains("\ttrue\t") || row.ends_with("\ttrue")));
        let mut random = Random(seed);
        let cases = [
            case("at once", 1, usize::MAX, 10_000_000, 1),
            case("small ticks, two workers", 2, 16, 40, 1),
            case("four workers, restarted twice", 4, 50, 1, 3),
            case("three workers, restarted often", 3, 25, 100, 9),
        ];
        for case in cases {
            let (actual, late) = outcome(&disturbed(&copies, &mut random), &case);
            assert_eq!(late, 0, "seed {seed}, {}", case.name);
            assert_equal(&actual, &expected, &format!("seed {seed}, {}", case.name));
        }
    }
    assert!(found >= 4, "there is something to find, not only {found} patterns");
    // one row in a tick costs a commit each: one seed, one restart
    let copies = copies(11);
    let (expected, _) = outcome(&in_order(&copies), &case("in order", 1, 100, 100, 1));
    let (actual, late) = outcome(&disturbed(&copies, &mut Random(5)), &case("row by row", 2, 1, 1, 2));
    assert_eq!(late, 0);
    assert_equal(&actual, &expected, "seed 11, row by row");
}

#[test]
fn rows_beyond_the_lateness_are_stored_marked_and_counted_but_not_correlated() {
    let copies = copies(21);
    let plain = case("plain", 2, 50, 100, 2);
    let (expected, _) = outcome(&in_order(&copies), &plain);
    let mut arrivals = in_order(&copies);
    let last = arrivals.last().unwrap().at;
    let mut too_late = 0;
    for arrival in in_order(&copies).iter().filter(|arrival| !arrival.rows.events.is_empty()).take(40) {
        let mut event = arrival.rows.events[0].clone();
        event.event_id = format!("late-{too_late}");
        event.timestamp = event.timestamp - 7 * MINUTE_MS;
        arrivals.push(Arrival { at: last, rows: Rows { events: vec![event], ..Rows::default() } });
        too_late += 1;
    }
    let (actual, late) = outcome(&arrivals, &plain);
    assert_eq!(late, too_late);
    for (table, rows) in &expected {
        if table != "federated_events" {
            assert_eq!(&actual[table], rows, "{table}");
        }
    }
    let rows = actual["federated_events"].lines();
    let (marked, others): (Vec<&str>, Vec<&str>) = rows.partition(|row| row.starts_with("late-"));
    assert_eq!(marked.len() as u64, too_late);
    let others: String = others.into_iter().map(|row| format!("{row}\n")).collect();
    assert_eq!(others, expected["federated_events"]);
}

#[test]
fn an_older_copy_of_an_event_that_the_engine_has_forgotten_does_not_rise_again() {
    let one = |event: &Event| Rows { events: vec![event.clone()], ..Rows::default() };
    let (events, _) = rows(1);
    let deploy = events.iter().find(|event| event.event_type == "deploy").unwrap();
    let moved = |number: i64, version: u64, timestamp: TimeMs| Event {
        event_id: format!("moved-{number}"),
        version,
        timestamp,
        ..deploy.clone()
    };
    // amended to a time far before the look-back
    let forgotten = (0..12).map(|number| moved(number, 1, START - 60 * DAY_MS + number * HOUR_MS));
    let plain: Vec<Rows> = forgotten.chain(events.iter().cloned()).map(|event| one(&event)).collect();
    let case = case("restarted twice", 2, 20, 40, 3);
    let (expected, _) = outcome(&in_order(&plain), &case);
    assert!(expected["correlations"].contains("deploy"), "{}", expected["correlations"]);

    // twelve deploys more, would they count
    let older = (0..12).map(|number| moved(number, 0, START + 15 * DAY_MS + number * HOUR_MS));
    let all: Vec<Rows> = plain.iter().cloned().chain(older.map(|event| one(&event))).collect();
    let (actual, late) = outcome(&in_order(&all), &case);
    assert_eq!(late, 0);
    // more rows have been seen; the results are the same
    assert_equal(&rows_only(actual), &rows_only(expected), "older copies");
}
