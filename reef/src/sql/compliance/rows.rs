//! Rows for the harness: values that are hard to compare, in every table that statements may name and a commit can fill.

use model::derived::{DerivedChange, Value};
use model::event::{Event, Severity};
use model::metric::MetricPoint;
use model::pattern::Finding;
use model::real::Real;
use model::rows::{RollupKey, Rows};
use model::series::{SeriesId, SeriesRef};
use model::time::MINUTE_MS;
use sinks::Commit;
use sinks::compliance::commit_of;
use sinks::compliance::rows::{START, bucket, colony, edge, event, finding, node};
use sinks::schema::{DERIVED, DerivedTable, Kind};
use std::collections::BTreeMap;

/// Texts that end statements, that look like no value, that sort differently by letter and by byte.
const TEXTS: [&str; 8] = ["api", "web", "it's", "x' OR 1=1 --", "", "a\\N\t\"b\"\n", "Zebra", "日本 ☂"];
/// Floats at their ends; a zero with a sign is stored without it.
const REALS: [Option<f64>; 8] =
    [None, Some(0.0), Some(-0.0), Some(-2.5), Some(0.300_000_000_000_000_04), Some(1e300), Some(5e-324), Some(20.066)];
/// Counts that a float does not hold.
const COUNTS: [Option<u64>; 4] = [Some(60), None, Some((1 << 53) + 1), Some(0)];
/// Rows of each derived table.
const DERIVED_ROWS: usize = 6;

/// Rows on time with patterns and derived rows, then late ones: some new, some copies of rows on time.
pub fn commits() -> Vec<Commit> {
    let rows = Rows {
        events: (0..60).map(an_event).collect(),
        metrics: (0..240).map(a_bucket).collect(),
        nodes: vec![node(0), node(5)],
        edges: vec![edge(0)],
        colonies: vec![colony()],
    };
    let first = Commit { findings: findings(), derived: derived(), ..commit_of(1, rows) };
    let amended = Event { version: 1 << 60, description: "late news".to_owned(), ..an_event(3) };
    let late = Rows {
        events: vec![amended, event("late", -MINUTE_MS)],
        metrics: vec![bucket("late", -MINUTE_MS), MetricPoint { version: 7, ..a_bucket(3) }].into(),
        ..Rows::default()
    };
    let rollups = RollupKey::touched(&late.metrics).into_iter().collect();
    vec![first, Commit { late: late.into(), rollups, ..commit_of(2, Rows::default()) }]
}

fn an_event(n: usize) -> Event {
    let severities = [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical];
    let metadata = BTreeMap::from([("key".to_owned(), TEXTS[(n + 3) % 8].to_owned())]);
    Event {
        colony_id: ["shop-production", "pay-staging"][usize::from(n % 4 == 3)].to_owned(),
        application_name: ["shop", ""][n % 2].to_owned(),
        event_type: ["deploy", "crash", "restart"][n % 3].to_owned(),
        service_id: TEXTS[n % 8].to_owned(),
        severity: severities[n % 4],
        description: TEXTS[(n + 5) % 8].to_owned(),
        metadata: if n.is_multiple_of(2) { BTreeMap::new() } else { metadata },
        version: if n == 7 { 1 << 63 } else { u64::from(n.is_multiple_of(5)) },
        withdrawn: n.is_multiple_of(9),
        ..event(&format!("e{n:02}"), n as i64 * MINUTE_MS + n as i64 % 7)
    }
}

fn a_bucket(n: usize) -> MetricPoint {
    let names = SeriesRef {
        colony_id: ["shop-production", "pay-staging"][n % 2],
        application_name: ["shop", ""][n % 2],
        environment: ["production", "staging"][n % 2],
        service_id: TEXTS[n % 8],
        metric_name: ["latency", "errors"][n % 2],
        interval_seconds: [Some(60), Some(300), None][n % 3],
    };
    MetricPoint {
        series: SeriesId::of(names),
        timestamp: START + n as i64 * MINUTE_MS,
        version: u64::from(n.is_multiple_of(10)),
        count: COUNTS[n % 4],
        mean: REALS[n % 8].map(Real),
        p50: REALS[(n + 3) % 8].map(Real),
        p95: Some(Real(20.0 + n as f64 / 8.0)),
        p99: REALS[(n + 6) % 8].map(Real),
        max: (!n.is_multiple_of(3)).then_some(Real(n as f64)),
    }
}

fn findings() -> Vec<Finding> {
    let mut weak = finding("b", 0.25, &[]);
    (weak.correlation.lag_low_seconds, weak.correlation.lag_seconds) = (-60, i32::MIN);
    (weak.correlation.explained_by, weak.correlation.reason) = (Some("daily_cycle".to_owned()), None);
    (weak.correlation.chance_level, weak.correlation.judged_coefficient) = (None, None);
    vec![finding("a", 0.5, &[("e01", "e02"), ("e03", "e04")]), weak]
}

fn derived() -> Vec<DerivedChange> {
    let change = |derived: &DerivedTable| DerivedChange {
        table: derived.table.name.to_owned(),
        upserts: (0..DERIVED_ROWS).map(|n| a_row(derived, n)).collect(),
        removed: Vec::new(),
    };
    DERIVED.iter().filter(|derived| derived.table.name != "analyses").map(change).collect()
}

/// A row of a derived table; each value that may be absent is so in some rows.
fn a_row(derived: &DerivedTable, n: usize) -> Vec<Value> {
    let value = |(place, (column, kind)): (usize, &(&str, Kind))| {
        let is_key = place < derived.table.key;
        match kind {
            Kind::Texts => Value::Texts(TEXTS[..n].iter().map(|text| (*text).to_owned()).collect()),
            Kind::Text if is_key => Value::Text(format!("k{n}")),
            _ if !is_key && *column != derived.time && (n + place).is_multiple_of(3) => Value::Null,
            Kind::Text => Value::Text(TEXTS[(n + place) % 8].to_owned()),
            Kind::Time => Value::Time(START + n as i64 * MINUTE_MS),
            Kind::Real => Value::Real(Real(REALS[(n + place) % 8].unwrap_or(0.5))),
            Kind::I32 | Kind::I64 => Value::Whole(n as i64 - 3),
            Kind::U32 | Kind::U64 => Value::Count(n as u64),
            Kind::Truth => Value::Truth((n + place).is_multiple_of(2)),
        }
    };
    derived.table.columns.iter().enumerate().map(value).collect()
}
