//! Results are a function of the set of rows: any order, repeats, tick size and number of workers give one hash.

use fixtures::random::Random;
use model::derived::Value;
use model::event::Event;
use model::metric::MetricPoint;
use model::pattern::{Finding, PatternState};
use model::real::Real;
use model::rows::Rows;
use model::series::SeriesRef;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use operators::dataflow::{Evaluate, Params};
use operators::events::EventParams;
use operators::metrics::MetricParams;
use operators::predictions::{PATTERN_DAYS, PREDICTIONS, current_since};
use pipelines::engine::Engine;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use sinks::schema::DERIVED;
use std::collections::BTreeMap;

pub const START: TimeMs = TimeMs(1_700_006_400_000); // 2023-11-15T00:00:00Z

fn params() -> Params {
    Params {
        events: EventParams { horizon_ms: 12 * DAY_MS, ..EventParams::default() },
        metrics: MetricParams { max_lag_ms: HOUR_MS, window_ms: 12 * HOUR_MS, ..MetricParams::default() },
        derived_events: true,
    }
}

fn event(colony: &str, service: &str, kind: &str, at: TimeMs, number: usize) -> Event {
    Event {
        event_type: kind.to_owned(),
        service_id: service.to_owned(),
        ..fixtures::event(colony, &format!("{service}-{kind}-{number}"), at)
    }
}

/// Deploys in one colony followed by errors in another after about 40 minutes, unrelated noise in a third, bursts,
/// and metric series of which one follows another by 15 minutes.
pub fn rows(seed: u64) -> (Vec<Event>, Vec<MetricPoint>) {
    let mut random = Random(seed);
    let mut events = Vec::new();
    for number in 0..26 {
        let at = START + random.below(18 * DAY_MS as u64) as i64;
        events.push(event("shop-production", "api", "deploy", at, number));
        if random.unit() < 0.9 {
            let lag = 40 * MINUTE_MS + random.below(3 * MINUTE_MS as u64) as i64;
            events.push(event("pay-production", "ledger", "error_spike", at + lag, number));
            // a burst: part of the same episode
            events.push(event("pay-production", "ledger", "error_spike", at + lag + MINUTE_MS, number + 1_000));
        }
        let noise = START + random.below(18 * DAY_MS as u64) as i64;
        events.push(event("mail-production", "smtp", "alert", noise, number));
    }
    let slots = 3 * 24 * 12;
    let mut wave = Vec::with_capacity(slots);
    let mut level = 0.0;
    for _ in 0..slots {
        level = 0.8 * level + random.unit() - 0.5;
        wave.push(level);
    }
    let mut metrics = Vec::new();
    for (colony, shift, noise) in [("shop-production", 0, 0.0), ("pay-production", 3, 0.1), ("mail-production", 0, 9.0)]
    {
        let names = SeriesRef { interval_seconds: Some(300), ..fixtures::series(colony, "api", "latency_ms") };
        for slot in shift..slots {
            if random.unit() < 0.02 {
                continue; // a gap
            }
            let value = wave[slot - shift] + noise * (random.unit() - 0.5);
            let at = START + 15 * DAY_MS + slot as i64 * 5 * MINUTE_MS;
            metrics.push(MetricPoint { count: Some(10), ..fixtures::point(names, at, value) });
            if random.unit() < 0.05 {
                // the bucket was still open when it was first sent
                let mut open = *metrics.last().unwrap();
                open.count = Some(4);
                open.mean = Some(Real(value * 0.5));
                metrics.push(open);
            }
        }
    }
    (events, metrics)
}

fn order(events: &[Event], metrics: &[MetricPoint]) -> Evaluate {
    let metrics_now = metrics.iter().map(|row| row.timestamp).max();
    let events_now = events.iter().map(|row| row.timestamp).max().max(metrics_now);
    Evaluate { events_now, metrics_now }
}

/// Runs the rows in ticks of at most `tick_rows`, evaluating every `evaluate_each` ticks and at the end.
fn results(
    events: &[Event],
    metrics: &[MetricPoint],
    workers: usize,
    tick_rows: usize,
    evaluate_each: usize,
) -> Results {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut engine = Engine::start(params(), workers).unwrap();
        let mut present: BTreeMap<Finding, i64> = BTreeMap::new();
        let mut derived: BTreeMap<(String, Vec<Value>), Vec<Value>> = BTreeMap::new();
        let mut events_left = events.chunks(tick_rows.max(1));
        let mut metrics_left = metrics.chunks(tick_rows.max(1));
        let (mut fed_events, mut fed_metrics) = (0, 0);
        for tick in 0.. {
            let (next_events, next_metrics) = (events_left.next(), metrics_left.next());
            let is_last = next_events.is_none() && next_metrics.is_none();
            let rows = Rows {
                events: next_events.unwrap_or_default().to_vec(),
                metrics: next_metrics.unwrap_or_default().into(),
                ..Rows::default()
            };
            fed_events += rows.events.len();
            fed_metrics += rows.metrics.len();
            let evaluate =
                (is_last || tick % evaluate_each == 0).then(|| order(&events[..fed_events], &metrics[..fed_metrics]));
            let outcome = engine.tick(rows.into(), evaluate).await.unwrap();
            for (finding, diff) in outcome.findings {
                *present.entry(finding).or_default() += diff;
            }
            for change in outcome.derived {
                let Some(table) = DERIVED.iter().find(|one| one.table.name == change.table) else {
                    panic!("{change:?}")
                };
                let of = |row: &[Value]| (change.table.clone(), row[..table.table.key].to_vec());
                change.removed.iter().for_each(|key| drop(derived.remove(&of(key))));
                derived.extend(change.upserts.iter().map(|row| (of(row), row.clone())));
            }
            if is_last {
                break;
            }
        }
        present.retain(|_, count| *count != 0);
        assert!(present.values().all(|count| *count == 1), "every finding is present once");
        // older predictions are final: as an evaluation saw them
        let since = current_since(&params().events, order(events, metrics).events_now.unwrap());
        let is_foretold = |table: &str| [PREDICTIONS, PATTERN_DAYS].contains(&table);
        let is_current = |row: &[Value]| {
            let mut times =
                row.iter().filter_map(|value| if let Value::Time(time) = value { Some(*time) } else { None });
            times.next().is_some_and(|time| time >= since)
        };
        derived.retain(|(table, _), row| !is_foretold(table) || is_current(row));
        Results { findings: present.into_keys().collect(), derived: derived.into_iter().collect() }
    })
}

/// A table and the key of one of its rows.
type Place = (String, Vec<Value>);

/// What a run ends with.
struct Results {
    findings: Vec<Finding>,
    /// Rows of derived tables.
    derived: Vec<(Place, Vec<Value>)>,
}

fn hash(results: &Results) -> String {
    let digest = Sha256::digest(serde_json::to_vec(&(&results.findings, &results.derived)).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name, rows, workers, rows in a tick, ticks between evaluations.
type Case<'a> = (&'a str, &'a [Event], &'a [MetricPoint], usize, usize, usize);

#[test]
fn the_planted_relations_are_found() {
    let (events, metrics) = rows(1);
    let Results { findings, derived } = results(&events, &metrics, 1, usize::MAX, 1);
    let predictions = derived.iter().filter(|((table, _), _)| table == PREDICTIONS).count();
    assert!(predictions >= 3, "{predictions} predictions");
    let confirmed: Vec<String> = findings
        .iter()
        .filter(|finding| finding.correlation.state == PatternState::Confirmed)
        .map(|finding| format!("{} -> {}", finding.correlation.key.source, finding.correlation.key.target))
        .collect();
    assert!(
        confirmed.contains(&"shop-production api deploy -> pay-production ledger error_spike".to_owned()),
        "{confirmed:?}"
    );
    let metric = findings
        .iter()
        .find(|finding| finding.correlation.key.source.name == "latency_ms")
        .expect("the lagged series are at least a candidate");
    assert_eq!(metric.correlation.lag_seconds, 900);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn one_hash_for_any_order_repeats_ticks_and_workers(seed in 0_u64..1_000_000) {
        let (events, metrics) = rows(seed);
        let expected = hash(&results(&events, &metrics, 1, usize::MAX, 1));

        let mut random = Random(seed ^ 0xfeed);
        let (mut shuffled_events, mut shuffled_metrics) = (events.clone(), metrics.clone());
        for _ in 0..events.len() / 3 {
            shuffled_events.push(events[random.below(events.len() as u64) as usize].clone());
        }
        for _ in 0..metrics.len() / 3 {
            shuffled_metrics.push(metrics[random.below(metrics.len() as u64) as usize]);
        }
        random.shuffle(&mut shuffled_events);
        random.shuffle(&mut shuffled_metrics);

        let cases: [Case<'_>; 7] = [
            ("in order, one row at a time", &events, &metrics[..], 1, 1, 97),
            ("shuffled and repeated, at once", &shuffled_events, &shuffled_metrics, 1, usize::MAX, 1),
            ("shuffled and repeated, small ticks", &shuffled_events, &shuffled_metrics, 1, 50, 3),
            ("three workers, at once", &shuffled_events, &shuffled_metrics, 3, usize::MAX, 1),
            ("three workers, small ticks", &shuffled_events, &shuffled_metrics, 3, 64, 5),
            ("two workers, small ticks", &shuffled_events, &shuffled_metrics, 2, 80, 7),
            ("four workers, at once", &shuffled_events, &shuffled_metrics, 4, usize::MAX, 1),
        ];
        for (case, events, metrics, workers, tick_rows, evaluate_each) in cases {
            let actual = hash(&results(events, metrics, workers, tick_rows, evaluate_each));
            prop_assert_eq!(&actual, &expected, "{} (seed {})", case, seed);
        }
    }
}
