//! A run says of events and of metrics by themselves why it confirms nothing.

use super::*;
use model::time::SECOND_MS;

/// Five latency spikes of one application over twelve days, each followed by timeouts of another one 15 s later.
fn incidents(from: TimeMs) -> Rows {
    let minutes = [0, 1_902, 4_605, 9_373, 11_660];
    let of = |colony_id: &str, id: String, timestamp: TimeMs, event_type: &str, service_id: &str| Event {
        event_type: event_type.to_owned(),
        service_id: service_id.to_owned(),
        ..fixtures::event(colony_id, &id, timestamp)
    };
    let mut events = Vec::new();
    for (number, (minute, lag_s)) in minutes.into_iter().zip([15, 14, 16, 15, 17]).enumerate() {
        let at = from + minute * MINUTE_MS;
        events.push(of("payments-production", format!("p{number}"), at, "latency_spike", "payment-api"));
        events.push(of("shop-production", format!("c{number}"), at + lag_s * SECOND_MS, "timeout_spike", "checkout"));
    }
    Rows { events, ..Rows::default() }
}

/// A value a minute for three minutes, of each of two colonies.
fn minutes(from: TimeMs) -> Rows {
    let series = |colony_id| fixtures::series(colony_id, "api", "latency_ms");
    let mut points = Vec::new();
    for minute in 0..3 {
        let at = from + minute * MINUTE_MS;
        points.push(fixtures::point(series("payments-production"), at, 80.0 + minute as f64));
        points.push(fixtures::point(series("shop-production"), at, 90.0 - minute as f64));
    }
    Rows { metrics: points.into(), ..Rows::default() }
}

async fn summary_of(rows: Vec<Rows>, line: &str) -> RunSummary {
    let text = format!(
        "reef_id = \"r\"\n[[sources]]\nkind = \"files\"\nevents = [\"e.ndjson\"]\n[engine]\nworkers = 1\n\
         [correlation]\n{line}\n"
    );
    let config = parse(&text, Format::Toml, Path::new("reef.toml")).unwrap();
    let batches: Box<dyn Source> = Box::new(Batches(rows.into()));
    drive(&config, Box::new(MemoryStore::new()), vec![batches], options().0).await.unwrap().0
}

/// 2024-11-04T09:20:00Z.
const FIRST: TimeMs = TimeMs(1_730_712_000_000);

#[tokio::test]
async fn metrics_without_a_pair_are_named_beside_confirmed_events() {
    let now = FIRST + 9 * DAY_MS;
    let summary = summary_of(vec![incidents(FIRST), minutes(now)], "").await;
    assert_eq!(summary.progress.confirmed, 1, "{summary:?}");
    let why = "no pair of metric series could be tested: of 2 metric series none has values that change, in 80 % of the \
               last 1d";
    assert_eq!(summary.unconfirmed, [why]);
    // nor is there anything to say of metrics without a metric
    let quiet = Rows { events: vec![fixtures::event("shop-production", "note", now)], ..Rows::default() };
    let summary = summary_of(vec![incidents(FIRST), quiet], "").await;
    assert_eq!((summary.progress.confirmed, summary.unconfirmed), (1, Vec::new()));
}

#[tokio::test]
async fn old_events_beside_live_metrics_of_which_events_are_derived_are_named() {
    // after the look-back of the events, within their retention
    let now = FIRST + 60 * DAY_MS;
    let rows = || vec![incidents(FIRST), minutes(now)];
    let named = |summary: &RunSummary| summary.unconfirmed.iter().any(|why| why.contains("events from before "));
    let apart = summary_of(rows(), "").await;
    assert_eq!(apart.progress.confirmed, 1, "{apart:?}");
    assert!(!named(&apart), "{:?}", apart.unconfirmed);
    let derived = summary_of(rows(), "derived_events = true").await;
    assert_eq!(derived.progress.confirmed, 0, "{derived:?}");
    let last = now + 2 * MINUTE_MS;
    let why = format!(
        "10 events from before {} left out: the look-back of event patterns ends with the metrics \
         (correlation.derived_events), at {last}",
        last - 30 * DAY_MS
    );
    assert!(derived.unconfirmed.contains(&why), "{:?}", derived.unconfirmed);
}
