//! How many revisions a pattern has: they follow from its events, not from how often it is evaluated.

use crate::run::published::Published;
use crate::run::revisions::Revisions;
use model::event::EventTypeKey;
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, TimeMs};
use operators::dataflow::Evaluate;
use operators::events::levels::on_both_levels;
use operators::events::{Episodes, EventParams, EventScan, EventStamp, EventVerdict};
use operators::shard::Shard;
use sinks::StoreWriter;
use sinks::memory::MemoryStore;
use sinks::revisions::Revision;

const BEGIN: TimeMs = TimeMs(19_003 * DAY_MS);
const DAYS: i64 = 30;

fn stamp(colony: &str, event_type: &str, at: TimeMs, event_id: String) -> EventStamp {
    EventStamp {
        key: EventTypeKey { colony_id: colony.into(), service_id: "web".into(), event_type: event_type.into() },
        at,
        event_id,
        application_name: format!("app-{colony}"),
        environment: "production".into(),
    }
}

/// Two deployments a day in staging, each with its error in production, and another event there each hour; by time.
fn history() -> Vec<EventStamp> {
    let mut events = Vec::new();
    for half_day in 0..2 * DAYS {
        let at = BEGIN + half_day * DAY_MS / 2 + (half_day * half_day * 37 % 11) * HOUR_MS / 2;
        events.push(stamp("staging", "deploy", at, format!("deploy-{half_day}")));
        let later = at + (130 + half_day % 5) * MINUTE_MS;
        events.push(stamp("production", "error_spike", later, format!("spike-{half_day}")));
    }
    for hour in 0..DAYS * 24 {
        let at = BEGIN + hour * HOUR_MS + hour * 7_919_000 % HOUR_MS;
        events.push(stamp("production", "heartbeat", at, format!("heartbeat-{hour}")));
    }
    events.sort_by_key(|event| event.at);
    events
}

/// The revisions of the pattern of errors after deployments while the events come one by one, each with an evaluation.
async fn revisions_of(events: Vec<EventStamp>) -> Vec<Revision> {
    let params = EventParams { horizon_ms: 10 * DAY_MS, ..EventParams::default() };
    let mut episodes = Episodes::new(params.clone());
    let mut scan = EventScan::new(params.clone(), Shard::WHOLE);
    let mut verdict = EventVerdict::new(params.clone());
    let (mut revisions, mut published, store) = (Revisions::default(), Published::default(), MemoryStore::new());
    let mut all = Vec::new();
    for event in events {
        let now = event.at;
        let changes = on_both_levels(event).map(|stamp| (stamp, 1_i64));
        scan.apply(episodes.apply(changes.into()));
        episodes.forget_before(now - params.keep_ms());
        scan.forget_before(now - params.keep_ms());
        let changes = verdict.apply(scan.scan(now));
        revisions.note(&changes, Evaluate { events_now: Some(now), metrics_now: None });
        revisions.publish(&published.apply(changes));
        let rows = revisions.take(store.reader().as_ref(), now).await.map(|change| change.upserts);
        let taken = rows.iter().flatten().map(|row| Revision::of_values(row).unwrap());
        all.extend(taken.filter(|revision| {
            (revision.row.key.source.name.as_str(), revision.row.key.target.name.as_str()) == ("deploy", "error_spike")
        }));
    }
    all
}

/// One for each pair of events that joins the evidence, and at most one for each that leaves it, a horizon later.
#[tokio::test]
async fn a_pattern_has_revisions_for_its_events_and_not_for_each_evaluation() {
    let events = history();
    let evaluations = events.len();
    let pairs = 2 * DAYS as usize;
    let all = revisions_of(events).await;
    assert!(all.len() > pairs / 2 && all.len() <= 2 * pairs, "{} revisions of {pairs} pairs", all.len());
    assert!(evaluations > 6 * pairs, "{evaluations}");
}
