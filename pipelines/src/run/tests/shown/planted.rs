//! Two more relations of kinds between colonies: memory that grows after a restart, and a pool that is full half an hour
//! before another service is slow.

use super::*;
use operators::derived_events::Kind;

/// Colony, service and metric; the level; and what is added to it at a time.
type Planted<'a> = ([&'a str; 3], f64, &'a dyn Fn(TimeMs) -> f64);

/// A quarter of an hour each, with noise of a hundredth of the level.
fn quarters(series: &[Planted<'_>]) -> Vec<MetricPoint> {
    let mut random = fixtures::random::Random(17);
    let mut points = Vec::new();
    for quarter in 0..DAYS * 96 {
        let at = START + quarter * 15 * MINUTE_MS;
        for &([colony, service, metric], level, more) in series {
            let value = level + more(at) + random.normal(0.0, level / 100.0);
            points.push(fixtures::point(fixtures::series(colony, service, metric), at, value));
        }
    }
    points
}

/// Whether one of these times was so many minutes ago.
fn is_within(times: &[TimeMs], at: TimeMs, minutes: std::ops::Range<i64>) -> bool {
    times.iter().any(|time| (*time + minutes.start * MINUTE_MS..*time + minutes.end * MINUTE_MS).contains(&at))
}

fn nothing(_: TimeMs) -> f64 {
    0.0
}

/// The one confirmed pattern, in words, and its lag in seconds.
fn only(found: &[Correlation]) -> (Vec<String>, i32) {
    let row = found.iter().find(|row| row.state == PatternState::Confirmed);
    (confirmed(found), row.map_or(0, |row| row.lag_seconds))
}

#[tokio::test]
async fn a_restart_is_followed_by_growth_of_memory_in_another_colony() {
    let restarts = times(3);
    let events: Vec<Event> = events(&restarts)
        .into_iter()
        .map(|event| match event.event_type.as_str() {
            "deploy" => Event { event_type: "restart".to_owned(), ..event },
            _ => event,
        })
        .collect();
    // half an hour later memory falls by a third, and grows for eight hours until it is as before
    let fallen = |at: TimeMs| {
        let ago = restarts.iter().map(|time| at - *time - 30 * MINUTE_MS).filter(|ago| (0..8 * HOUR_MS).contains(ago));
        ago.min().map_or(0.0, |ago| 160.0 * (ago as f64 / (8 * HOUR_MS) as f64 - 1.0))
    };
    let metrics = quarters(&[
        (["shop-production", "api", "memory_rss_mb"], 500.0, &fallen),
        (["shop-production", "api", "http_latency_ms"], 100.0, &nothing),
        (["shop-staging", "api", "memory_rss_mb"], 400.0, &nothing),
    ]);
    let store = MemoryStore::new();
    drive_as(&store, batches(&events, &metrics), ON).await;
    let growths = derived(&store).await;
    assert!(growths.iter().all(|event| event.kind == Kind::MemoryGrowth), "{growths:?}");
    assert_eq!(growths.len(), restarts.len(), "{growths:?}");
    let (words, lag_seconds) = only(&patterns(&store).await);
    assert_eq!(words, ["shop-staging restart -> shop-production memory_growth"]);
    // values come each quarter of an hour
    assert!((1_800..=2_700).contains(&lag_seconds), "{lag_seconds}");

    // without the growth there is no pattern
    let flat = quarters(&[(["shop-production", "api", "memory_rss_mb"], 500.0, &nothing)]);
    let store = MemoryStore::new();
    drive_as(&store, batches(&events, &flat), ON).await;
    assert_eq!((derived(&store).await, confirmed(&patterns(&store).await)), (Vec::new(), Vec::new()));
}

/// The threshold is 90 %: at 86 % nothing begins.
#[tokio::test]
async fn a_full_pool_is_followed_by_slowness_in_another_colony_half_an_hour_later() {
    let (full, nearly) = (times(8), times(5));
    let used = |at: TimeMs| {
        if is_within(&full, at, 0..90) {
            33.0
        } else if is_within(&nearly, at, 0..90) {
            26.0
        } else {
            0.0
        }
    };
    let slow = |at: TimeMs| if is_within(&full, at, 30..90) { 200.0 } else { 0.0 };
    let metrics = quarters(&[
        (["db-production", "postgres", "db.pool.utilization"], 60.0, &used),
        (["shop-production", "api", "http_latency_ms"], 100.0, &slow),
        (["shop-staging", "api", "http_latency_ms"], 90.0, &nothing),
    ]);
    let store = MemoryStore::new();
    drive_as(&store, batches(&events(&deploys()), &metrics), ON).await;
    let count = |kind: Kind, all: &[DerivedEvent]| all.iter().filter(|event| event.kind == kind).count();
    let found = derived(&store).await;
    let counts = (count(Kind::Saturation, &found), count(Kind::LatencySpike, &found), found.len());
    assert_eq!(counts, (full.len(), full.len(), 2 * full.len()), "{found:?}");
    let (words, lag_seconds) = only(&patterns(&store).await);
    assert_eq!(words, ["db-production saturation -> shop-production latency_spike"]);
    assert!((1_500..=2_100).contains(&lag_seconds), "{lag_seconds}");
}
