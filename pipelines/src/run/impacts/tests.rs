//! Stored impacts are those of a judgement of all rows, in any order, with late rows and restarts; and nothing is judged
//! without a reason.
#![allow(clippy::unwrap_used)]

use super::super::due::Id;
use super::*;
use crate::impact::watch::impact_on;
use crate::impact::{Impact, Verdict, colonies};
use crate::run::tests::drive_with;
use model::event::Event;
use model::real::Real;
use model::series::SeriesRef;
use model::time::HOUR_MS;
use operators::deployments::Status;
use proptest::prelude::*;
use sinks::memory::MemoryStore;
use sinks::{Commit, StoreWriter};

mod away;
mod followed;
mod linked;
mod orphans;
mod switched;

/// A Wednesday, midnight.
const START: TimeMs = TimeMs(1_731_456_000_000);
const COLONIES: [(&str, &str); 3] =
    [("shop-dev", "dev"), ("shop-production", "production"), ("shop-staging", "staging")];

fn at(day: i64, minute: i64) -> TimeMs {
    START + day * DAY_MS + minute * MINUTE_MS
}

/// A deployment and what it does to the latency.
struct Planned {
    colony: usize,
    id: &'static str,
    day: i64,
    minute: i64,
    factor: f64,
    event_type: &'static str,
}

const fn planned(colony: usize, id: &'static str, (day, minute): (i64, i64), factor: f64) -> Planned {
    Planned { colony, id, day, minute, factor, event_type: "deploy" }
}

/// Harmless and harmful ones, one that fails, two that overlap, one without a sibling at rest, one at the end of all rows.
fn plan() -> Vec<Planned> {
    vec![
        planned(1, "quiet", (4, 600), 1.0),
        planned(1, "slow", (4, 900), 1.9),
        Planned { event_type: "deploy_failed", ..planned(2, "failed", (4, 1_200), 1.0) },
        planned(2, "first", (5, 300), 1.4),
        planned(2, "second", (5, 330), 1.4),
        planned(0, "beside", (5, 905), 1.0),
        planned(1, "both", (5, 900), 1.5),
        planned(1, "last", (5, 1_432), 2.0),
    ]
}

fn events() -> Vec<Event> {
    let of = |one: &Planned| Event {
        event_type: one.event_type.to_owned(),
        service_id: "api".to_owned(),
        metadata: [("version".to_owned(), format!("v-{}", one.id))].into(),
        ..fixtures::event(COLONIES[one.colony].0, one.id, at(one.day, one.minute))
    };
    plan().iter().map(of).collect()
}

/// Latency and errors of one service in three environments, every minute around the deployments and on the days before.
fn metrics() -> Vec<model::metric::MetricPoint> {
    let plan = plan();
    let mut random = fixtures::random::Random(7);
    let mut points = Vec::new();
    for day in 0..6 {
        for minute in
            (240..1_440).filter(|minute| plan.iter().any(|one| (one.minute - 70..one.minute + 75).contains(minute)))
        {
            for (number, (colony, environment)) in COLONIES.iter().enumerate() {
                let factor = plan.iter().filter(|one| {
                    one.colony == number && one.day == day && (one.minute..one.minute + 70).contains(&minute)
                });
                let factor: f64 = factor.map(|one| one.factor).product();
                for (metric_name, value) in [
                    ("http_latency_ms", 100.0 * factor + random.normal(0.0, 6.0)),
                    ("error_rate", random.unit() * 0.01),
                ] {
                    let names = SeriesRef {
                        colony_id: colony,
                        application_name: "shop",
                        environment,
                        service_id: "api",
                        metric_name,
                        interval_seconds: Some(60),
                    };
                    points.push(fixtures::point(names, at(day, minute), value));
                }
            }
        }
    }
    points
}

fn rows_of(events: Vec<Event>, metrics: Vec<model::metric::MetricPoint>) -> Rows {
    Rows { events, metrics: metrics.into_iter().collect(), ..Rows::default() }
}

/// The rows of both tables, without those that differ by when they were stored.
async fn stored(store: &MemoryStore) -> [Vec<Vec<Value>>; 2] {
    let reader = store.reader();
    let mut tables = [Vec::new(), Vec::new()];
    for (name, rows) in [TIMELINE, rows::TABLE].into_iter().zip(&mut tables) {
        *rows = reader.rows_of(rows::table(name), None, 10_000).await.unwrap().rows();
    }
    tables
}

/// Each stored impact beside one that is judged now.
async fn compared(store: &MemoryStore) -> Vec<(String, Impact, Impact)> {
    let reader = store.reader();
    let colonies = colonies::read(reader.as_ref()).await.unwrap();
    let [timeline, _] = stored(store).await;
    let lines: Vec<Line> =
        timeline.iter().filter_map(|row| Line::of_row(row)).map(|it| it.identified(&colonies)).collect();
    let meanings = Meanings::default();
    let mut found = Vec::new();
    for (line, row) in lines.iter().zip(&timeline) {
        let known = Stored::of_row(row).unwrap_or_else(|| panic!("{} is not judged", line.deployment_id));
        let changes = rows::read(&line.colony_id, &line.deployment_id, reader.as_ref()).await.unwrap();
        let now = impact_on(line, &lines, (&colonies, &meanings), reader.as_ref()).await.unwrap();
        found.push((line.deployment_id.clone(), rows::impact(known, &changes, &meanings), now));
    }
    found
}

async fn agree(store: &MemoryStore) {
    for (id, stored, now) in compared(store).await {
        assert_eq!(stored, now, "{id}");
    }
}

#[tokio::test]
async fn stored_impacts_are_those_that_are_judged_now() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    agree(&store).await;
    let found = compared(&store).await;
    let verdict = |id: &str| {
        let (.., now) = found.iter().find(|(known, ..)| known == id).unwrap();
        (now.verdict, now.look_minutes)
    };
    assert_eq!(verdict("quiet"), (Verdict::Success, Some(60)));
    assert_eq!(verdict("slow"), (Verdict::Failed, Some(60)));
    assert_eq!(verdict("failed"), (Verdict::Failed, Some(60)));
    assert_eq!(verdict("second").0, Verdict::Pending, "it overlaps another one");
    assert_eq!(verdict("last"), (Verdict::Pending, Some(5)), "metrics end eight minutes after it");
    let [timeline, changes] = stored(&store).await;
    assert_eq!((timeline.len(), changes.len()), (8, 16));
    let row = changes
        .iter()
        .find(|row| row[1] == Value::Text("slow".into()) && row[2] == Value::Text("http_latency_ms".into()));
    let row = row.unwrap();
    assert!(matches!(&row[6], Value::Real(Real(percent)) if (70.0..110.0).contains(percent)), "{row:?}");
    assert_eq!((&row[12], &row[13]), (&Value::Text("critical".into()), &Value::Whole(60)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// Deliveries in any order, in several runs, with a further run over the same rows.
    #[test]
    fn order_and_restarts_change_no_impact(seed in any::<u64>(), parts in 2..5_usize) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let whole = MemoryStore::new();
            drive_with(&whole, vec![rows_of(followed::with_incidents(), metrics())]).await;
            let mut random = fixtures::random::Random(seed);
            let (mut events, mut metrics) = (followed::with_incidents(), metrics());
            random.shuffle(&mut events);
            // hours in any order, and some rows anywhere
            metrics.sort_by_key(|point| (point.timestamp.0 / HOUR_MS).wrapping_mul(seed as i64 | 1));
            for _ in 0..200 {
                let (a, b) = (random.below(metrics.len() as u64) as usize, random.below(metrics.len() as u64) as usize);
                metrics.swap(a, b);
            }
            let store = MemoryStore::new();
            for part in 0..parts {
                let share = |len: usize| len * part / parts..len * (part + 1) / parts;
                let (events, metrics) = (&events[share(events.len())], &metrics[share(metrics.len())]);
                let batches = metrics.chunks(2_000).map(|chunk| rows_of(Vec::new(), chunk.to_vec()));
                drive_with(&store, batches.chain([rows_of(events.to_vec(), Vec::new())]).collect()).await;
                agree(&store).await;
            }
            let expected = stored(&whole).await;
            assert_eq!(stored(&store).await, expected);
            drive_with(&store, vec![rows_of(events, metrics)]).await;
            assert_eq!(stored(&store).await, expected, "a second run changes nothing");
        });
    }
}

/// What is due after a step, by the span of starts.
fn due(impacts: &Impacts) -> String {
    impacts.state()[0].1.clone()
}

#[tokio::test]
async fn only_what_may_have_changed_is_judged_again() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let reader = store.reader();
    let evaluated = Evaluated::of_store(&reader.positions().await.unwrap());
    let meanings = Meanings::default();
    let mut impacts = Impacts::of_store(reader.as_ref(), &meanings, &evaluated).await.unwrap();
    assert!(!impacts.is_behind(), "{}", due(&impacts));
    assert_eq!(impacts.judge(usize::MAX, reader.as_ref()).await.unwrap(), []);

    let point = |day: i64, minute: i64| {
        let found = metrics().into_iter().find(|point| point.timestamp == at(day, minute)).unwrap();
        rows_of(Vec::new(), vec![found])
    };
    // between the hours of deployments
    let far = rows_of(Vec::new(), vec![model::metric::MetricPoint { timestamp: at(4, 60), ..metrics()[0] }]);
    impacts.note(&far);
    assert_eq!(due(&impacts), "none");
    impacts.note(&point(4, 615));
    let quiet = at(4, 600);
    assert_eq!(due(&impacts), format!("{quiet} {quiet}"), "its windows alone have this row");
    assert_eq!(impacts.judge(usize::MAX, reader.as_ref()).await.unwrap(), [], "nothing has changed");
    assert!(!impacts.is_behind());

    // what the store was told is due is judged after a restart
    let mut moved = Evaluated::of_store(&reader.positions().await.unwrap());
    moved.set(DUE, format!("{quiet} {quiet}"));
    let positions = BTreeMap::from([(crate::evaluated::EVALUATED_NAME.to_owned(), moved.take_moved())]);
    let restarted = Impacts::of_store(reader.as_ref(), &meanings, &Evaluated::of_store(&positions)).await.unwrap();
    assert!(restarted.is_behind());

    // a deployment that goes takes its impact with it
    let [timeline, _] = stored(&store).await;
    let row = timeline.iter().find(|row| row[1] == Value::Text("slow".into())).unwrap();
    let removed = vec![row[..2].to_vec()];
    let mut changes = vec![DerivedChange { table: TIMELINE.to_owned(), upserts: Vec::new(), removed }];
    impacts.follow(&mut changes, reader.as_ref()).await.unwrap();
    assert_eq!((changes.len(), changes[1].table.as_str(), changes[1].removed.len()), (2, rows::TABLE, 2));
    changes.extend(impacts.judge(usize::MAX, reader.as_ref()).await.unwrap());
    let commit = Commit { derived: changes, ..sinks::compliance::commit_of(99, Rows::default()) };
    store.commit(&commit).await.unwrap();
    assert_eq!(stored(&store).await.map(|rows| rows.len()), [7, 14]);
    agree(&store).await;
}

#[tokio::test]
async fn a_status_that_changes_later_changes_the_verdict_and_metrics_that_are_deleted_do_not() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let back = Event {
        event_type: "rollback".to_owned(),
        service_id: "api".to_owned(),
        metadata: [("from_version".to_owned(), "v-slow".to_owned()), ("to_version".to_owned(), "v-quiet".to_owned())]
            .into(),
        ..fixtures::event("shop-production", "back", at(4, 1_080))
    };
    drive_with(&store, vec![rows_of(vec![back], Vec::new())]).await;
    agree(&store).await;
    let [timeline, _] = stored(&store).await;
    let slow = timeline.iter().find(|row| row[1] == Value::Text("slow".into())).unwrap();
    assert_eq!(slow[9], Value::Text(Status::RolledBack.as_str().into()));
    assert_eq!(Stored::of_row(slow).unwrap().verdict_reason, "the deployment itself was rolled back");

    let before = stored(&store).await;
    let retention = sinks::retention::Retention {
        metrics_ms: 0,
        events_ms: 1_000 * DAY_MS,
        correlations_ms: 1_000 * DAY_MS,
        deployments_ms: 1_000 * DAY_MS,
    };
    while store.prune(&retention, TimeMs(4_000_000_000_000)).await.unwrap().is_partial {}
    let reader = store.reader();
    let nothing = Evaluated::of_store(&BTreeMap::new());
    let mut impacts = Impacts::of_store(reader.as_ref(), &Meanings::default(), &nothing).await.unwrap();
    let lines: Vec<Line> = impacts.timeline.all().map(|known| known.line.clone()).collect();
    lines.iter().for_each(|line| impacts.due.add(line));
    let changes = impacts.judge(usize::MAX, reader.as_ref()).await.unwrap();
    let commit = Commit { derived: changes, ..sinks::compliance::commit_of(99, Rows::default()) };
    store.commit(&commit).await.unwrap();
    let after = stored(&store).await;
    let of = |tables: &[Vec<Vec<Value>>; 2], id: &str| -> Vec<Vec<Value>> {
        tables.iter().flatten().filter(|row| row[1] == Value::Text(id.into())).cloned().collect()
    };
    assert_eq!(of(&before, "quiet"), of(&after, "quiet"));
}

/// A row of production's service at a time.
fn row_at(day: i64, minute: i64) -> Rows {
    let of_production = metrics().into_iter().find(|point| point.series.names().colony_id == "shop-production");
    let point = model::metric::MetricPoint { timestamp: at(day, minute), ..of_production.unwrap() };
    rows_of(Vec::new(), vec![point])
}

async fn impacts_of(store: &MemoryStore) -> Impacts {
    let reader = store.reader();
    let evaluated = Evaluated::of_store(&reader.positions().await.unwrap());
    Impacts::of_store(reader.as_ref(), &Meanings::default(), &evaluated).await.unwrap()
}

/// Metrics of production end eight minutes after its last deployment.
#[tokio::test]
async fn rows_after_a_look_make_a_deployment_due_when_the_next_look_is_over() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let last = at(5, 1_432);
    let only_last = format!("{last} {last}");
    let mut impacts = impacts_of(&store).await;
    impacts.note(&row_at(5, 1_440));
    assert_eq!(due(&impacts), "none", "nothing that is judged counts this row");
    impacts.note_late(&row_at(5, 1_446));
    assert_eq!(due(&impacts), "none", "late rows end no look");
    impacts.note(&row_at(5, 1_446));
    assert_eq!(due(&impacts), only_last);
    let mut impacts = impacts_of(&store).await;
    impacts.note_late(&row_at(5, 1_436));
    assert_eq!(due(&impacts), only_last, "a late row within its look");

    // rows of a run that has committed them and nothing about impacts
    store.commit(&sinks::compliance::commit_of(99, row_at(5, 1_446))).await.unwrap();
    let mut impacts = impacts_of(&store).await;
    assert_eq!(due(&impacts), only_last);
    let reader = store.reader();
    assert!(!impacts.judge(4, reader.as_ref()).await.unwrap().is_empty());
    assert!(!impacts.is_behind());
}

#[tokio::test]
async fn colonies_are_read_again_only_if_rows_state_something_new() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let mut impacts = impacts_of(&store).await;
    impacts.note(&row_at(7, 0));
    assert!(!impacts.colonies.is_stale());
    let renamed = Event { environment: "live".to_owned(), ..fixtures::event("shop-production", "e", at(7, 0)) };
    impacts.note(&rows_of(vec![renamed.clone()], Vec::new()));
    assert!(impacts.colonies.is_stale() && impacts.is_behind());
    let reader = store.reader();
    impacts.judge(0, reader.as_ref()).await.unwrap();
    assert!(!impacts.colonies.is_stale());
    impacts.note(&rows_of(vec![renamed], Vec::new()));
    assert!(!impacts.colonies.is_stale(), "it was stated before");
    impacts.note(&rows_of(vec![fixtures::event("shop-new", "e", at(7, 0))], Vec::new()));
    assert!(impacts.colonies.is_stale());
}

#[test]
fn without_deployments_nothing_is_to_be_judged() {
    let mut impacts = Impacts::default();
    impacts.note(&row_at(1, 600));
    impacts.note_deleted();
    assert!(!impacts.is_behind());
}

#[tokio::test]
async fn none_of_those_that_are_due_waits_indefinitely() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let mut impacts = impacts_of(&store).await;
    let lines: Vec<Line> = impacts.timeline.all().map(|known| known.line.clone()).collect();
    lines.iter().for_each(|line| impacts.due.add(line));
    // each is due again as soon as it is judged
    let taken: Vec<Id> = (0..2 * lines.len()).map(|_| impacts.due.next_one().unwrap()).collect();
    assert_eq!((&taken[0], &taken[1]), (&Id::of(&lines[0]), &Id::of(&lines[7])), "the oldest, then the newest");
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), lines.len());
}

#[tokio::test]
async fn an_impact_whose_earliest_metrics_are_deleted_is_kept() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    let mut impacts = impacts_of(&store).await;
    let of_quiet = |known: &&Known| known.line.deployment_id == "quiet";
    let quiet = impacts.timeline.all().find(of_quiet).unwrap().clone();
    let (.., impact) = compared(&store).await.into_iter().find(|(id, ..)| id == "quiet").unwrap();
    let reader = store.reader();
    assert_eq!(impacts.lost(&quiet, &impact, reader.as_ref()).await.unwrap(), None, "nothing is deleted");
    impacts.keep_metrics_from(Some(at(-4, 0)));
    assert_eq!(impacts.lost(&quiet, &impact, reader.as_ref()).await.unwrap(), None, "nothing of its own");
    impacts.keep_metrics_from(Some(at(0, 0)));
    let kept = impacts.lost(&quiet, &impact, reader.as_ref()).await.unwrap();
    assert_eq!(kept, Stored::of_row(&quiet.row));
    // imported later: it is kept for longer than its time says
    store.commit(&sinks::compliance::commit_of(99, row_at(-3, 560))).await.unwrap();
    assert_eq!(impacts.lost(&quiet, &impact, reader.as_ref()).await.unwrap(), None);
}
