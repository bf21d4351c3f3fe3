//! What metrics show becomes events, and event patterns reach metrics: on a generated history with a planted relation, by
//! the run and by the references, in one run and in several; and nothing is confirmed where nothing is planted.

use super::*;
use crate::impact::rows::table;
use model::derived::Value;
use model::pattern::{Correlation, Finding, PatternState};
use model::time::{DAY_MS, HOUR_MS};
use operators::derived_events::{DerivedEvent, TABLE};
use operators::events::{EventParams, EventStamp};
use operators::ext::Change;
use operators::metrics::block::Sample;
use operators::reference;
use std::collections::{BTreeMap, BTreeSet};

mod planted;

/// A Wednesday, midnight.
const START: TimeMs = TimeMs(1_731_456_000_000);
const DAYS: i64 = 27;
const ON: &str = "derived_events = true";

/// Thirteen times with a day or two between them, without a period.
fn times(seed: u64) -> Vec<TimeMs> {
    let mut random = fixtures::random::Random(seed);
    let mut minute = 4 * 1_440;
    let mut next = || {
        minute += 1_500 + random.below(1_600) as i64;
        START + minute * MINUTE_MS
    };
    (0..13).map(|_| next()).collect()
}

/// Deployments in staging.
fn deploys() -> Vec<TimeMs> {
    times(3)
}

fn events(deploys: &[TimeMs]) -> Vec<Event> {
    let mut events = Vec::new();
    for (number, at) in deploys.iter().enumerate() {
        events.push(fixtures::event("shop-staging", &format!("d{number}"), *at));
        // something else happens in production too
        let other =
            fixtures::event("shop-production", &format!("b{number}"), *at + 7 * HOUR_MS + number as i64 * MINUTE_MS);
        events.push(Event { event_type: "backup".to_owned(), ..other });
    }
    events
}

/// A quarter of an hour each: a latency with a course of the day, which is slow for an hour where `is_slow` says so, and
/// others that never are.
fn metrics(is_slow: impl Fn(TimeMs) -> bool) -> Vec<MetricPoint> {
    let mut random = fixtures::random::Random(11);
    let mut points = Vec::new();
    for quarter in 0..DAYS * 96 {
        let at = START + quarter * 15 * MINUTE_MS;
        let of_day = (quarter as f64 / 96.0 * std::f64::consts::TAU).sin();
        let slow = if is_slow(at) { 3.0 } else { 1.0 };
        for (colony, metric, value) in [
            ("shop-production", "http_latency_ms", slow * (100.0 + 30.0 * of_day + random.normal(0.0, 5.0))),
            ("shop-production", "error_rate", 0.01 * random.unit()),
            ("shop-staging", "http_latency_ms", 90.0 + 20.0 * of_day + random.normal(0.0, 9.0)),
            ("shop-staging", "memory_rss_mb", 500.0 + 90.0 * of_day + random.normal(0.0, 9.0)),
        ] {
            points.push(fixtures::point(fixtures::series(colony, "api", metric), at, value));
        }
    }
    points
}

/// Half an hour after each of these times, for an hour.
fn after(times: &[TimeMs]) -> impl Fn(TimeMs) -> bool {
    move |at| times.iter().any(|time| (*time + 30 * MINUTE_MS..*time + 90 * MINUTE_MS).contains(&at))
}

fn batches(events: &[Event], metrics: &[MetricPoint]) -> Vec<Rows> {
    // days of both, as a live run has them
    let day = |at: TimeMs| (at - START) / DAY_MS;
    let of_day = |wanted: i64| Rows {
        events: events.iter().filter(|event| day(event.timestamp) == wanted).cloned().collect(),
        metrics: metrics.iter().filter(|point| day(point.timestamp) == wanted).cloned().collect(),
        ..Rows::default()
    };
    (0..=DAYS).map(of_day).collect()
}

async fn patterns(store: &MemoryStore) -> Vec<Correlation> {
    let mut rows = store.reader().correlations().await.unwrap();
    // metric pairs are another matter
    rows.retain(|row| row.key.source.kind == model::pattern::SignalKind::Event);
    rows
}

async fn derived(store: &MemoryStore) -> Vec<DerivedEvent> {
    let rows = store.reader().rows_of(table(TABLE), None, 10_000).await.unwrap().rows();
    rows.iter().filter_map(|row: &Vec<Value>| DerivedEvent::of_row(row)).collect()
}

fn confirmed(rows: &[Correlation]) -> Vec<String> {
    let named = |row: &&Correlation| {
        let (source, target) = (&row.key.source, &row.key.target);
        format!("{} {} -> {} {}", source.colony_id, source.name, target.colony_id, target.name)
    };
    let found: BTreeSet<String> =
        rows.iter().filter(|row| row.state == PatternState::Confirmed).map(|row| named(&row)).collect();
    found.into_iter().collect()
}

/// The findings of the slow references for the same rows.
fn by_reference(events: &[Event], metrics: &[MetricPoint], now: TimeMs) -> (Vec<DerivedEvent>, Vec<Finding>) {
    let sample = |point: &MetricPoint| -> Change<Sample> {
        (Sample { series: point.series, at: point.timestamp, value: point.mean.unwrap(), weight: 1 }, 1)
    };
    let derived = reference::derived_events::events(&metrics.iter().map(sample).collect::<Vec<_>>());
    let stamp = |event: &Event| EventStamp {
        key: event.type_key(),
        at: event.timestamp,
        event_id: event.event_id.clone(),
        application_name: event.application_name.clone(),
        environment: event.environment.clone(),
    };
    let stamps = events.iter().map(stamp).chain(derived.iter().map(DerivedEvent::stamp)).collect();
    let params = EventParams::default();
    (derived, reference::events::findings(&stamps, &BTreeSet::new(), &params, now))
}

#[tokio::test]
async fn a_shift_of_a_metric_after_deployments_is_a_confirmed_pattern_of_events() {
    let (events, metrics) = (events(&deploys()), metrics(after(&deploys())));
    let store = MemoryStore::new();
    drive_as(&store, batches(&events, &metrics), ON).await;
    let found = patterns(&store).await;
    assert_eq!(confirmed(&found), ["shop-staging deploy -> shop-production latency_spike"]);
    let spikes = derived(&store).await;
    assert_eq!(spikes.len(), deploys().len(), "one for each deployment: {spikes:?}");
    assert!(spikes.iter().all(|event| event.event_id().starts_with("derived:latency_spike:api:")));

    // the rows behind it are marked
    let reader = store.reader();
    let row = found.iter().find(|row| row.state == PatternState::Confirmed).unwrap();
    let evidence = reader.evidence(&row.key.correlation_id()).await.unwrap();
    assert!(evidence.len() >= 10 && evidence.iter().all(|one| one.target_ref.starts_with("derived:")), "{evidence:?}");

    // so say the references
    let evaluated = &store.tables().positions[EVALUATED_NAME].0["events"];
    let (expected, findings) = by_reference(&events, &metrics, TimeMs::parse_rfc3339(evaluated).unwrap());
    assert_eq!(spikes.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    let states = |rows: Vec<&Correlation>| -> BTreeMap<String, (PatternState, u32)> {
        rows.into_iter().map(|row| (row.key.correlation_id(), (row.state, row.occurrence_count))).collect()
    };
    let expected = states(findings.iter().map(|finding| &finding.correlation).collect());
    assert_eq!(states(found.iter().collect()), expected);
}

#[tokio::test]
async fn a_run_that_is_started_again_finds_the_same() {
    let (events, metrics) = (events(&deploys()), metrics(after(&deploys())));
    let whole = MemoryStore::new();
    let all = batches(&events, &metrics);
    drive_as(&whole, all.clone(), ON).await;
    let store = MemoryStore::new();
    // far longer than the twelve days of metrics that are read back
    for part in [0..7, 7..15, 15..23, 23..24, 24..all.len(), 0..0] {
        drive_as(&store, all[part].to_vec(), ON).await;
    }
    assert_eq!(derived(&store).await, derived(&whole).await);
    assert_eq!(patterns(&store).await, patterns(&whole).await);
}

#[tokio::test]
async fn nothing_is_confirmed_where_nothing_is_planted_or_events_are_switched_off() {
    let quiet = MemoryStore::new();
    drive_as(&quiet, batches(&events(&deploys()), &metrics(|_| false)), ON).await;
    assert_eq!(derived(&quiet).await, []);
    assert!(confirmed(&patterns(&quiet).await).is_empty());

    // slow at times of its own
    let own = times(8);
    let decoy = MemoryStore::new();
    drive_as(&decoy, batches(&events(&deploys()), &metrics(after(&own))), ON).await;
    assert!(derived(&decoy).await.len() >= 10);
    assert_eq!(confirmed(&patterns(&decoy).await), Vec::<String>::new());

    let off = MemoryStore::new();
    drive_as(&off, batches(&events(&deploys()), &metrics(after(&deploys()))), "").await;
    assert_eq!((derived(&off).await.len(), confirmed(&patterns(&off).await).len()), (0, 0));
}

#[tokio::test]
async fn what_a_service_reports_itself_is_not_counted_twice() {
    let (mut events, metrics) = (events(&deploys()), metrics(after(&deploys())));
    // it says so some minutes later
    let reported = |(number, at): (usize, TimeMs)| Event {
        event_type: "latency_spike".to_owned(),
        ..fixtures::event("shop-production", &format!("own-{number}"), at + 52 * MINUTE_MS)
    };
    events.extend(deploys().into_iter().enumerate().map(reported));
    let store = MemoryStore::new();
    drive_as(&store, batches(&events, &metrics), ON).await;
    let found = patterns(&store).await;
    let row = found.iter().find(|row| row.state == PatternState::Confirmed).unwrap();
    assert_eq!(row.occurrence_count as usize, deploys().len());
    let evidence = store.reader().evidence(&row.key.correlation_id()).await.unwrap();
    assert!(evidence.iter().all(|one| one.target_ref.starts_with("own-")), "{evidence:?}");
}
