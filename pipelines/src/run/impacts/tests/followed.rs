//! What the row of a deployment names: the metrics that got worse, and the events of its colony that followed.

use super::*;
use crate::impact::related::RELATED_MAX;
use model::event::Severity;

/// An incident of the service of a colony.
fn incident(colony: usize, id: &str, (day, minute): (i64, i64)) -> Event {
    Event { event_type: "error_spike".to_owned(), ..fixtures::event(COLONIES[colony].0, id, at(day, minute)) }
}

/// Around `slow`, which is deployed in production on day 4 at minute 900.
fn incidents() -> Vec<Event> {
    let severe =
        Event { event_type: "queue".to_owned(), severity: Severity::Warning, ..incident(1, "severe", (4, 960)) };
    let mild = Event { event_type: "queue".to_owned(), ..incident(1, "mild", (4, 905)) };
    vec![
        severe,
        mild,
        incident(1, "spike", (4, 905)),
        incident(1, "before", (4, 899)),
        incident(1, "after", (4, 961)),
        incident(2, "elsewhere", (4, 905)),
    ]
}

/// A crash of the service of production.
fn crash(id: &str, at: (i64, i64)) -> Event {
    Event { event_type: "oom_kill".to_owned(), ..incident(1, id, at) }
}

/// Those, and a crash after `both`.
pub(super) fn with_incidents() -> Vec<Event> {
    with(incidents().into_iter().chain([crash("down", (5, 910))]).collect())
}

fn with(others: Vec<Event>) -> Vec<Event> {
    events().into_iter().chain(others).collect()
}

/// What the row of a deployment names.
async fn named(store: &MemoryStore, id: &str) -> (Vec<String>, Vec<String>) {
    let [timeline, _] = stored(store).await;
    let row = timeline.into_iter().find(|row| row[1] == Value::Text(id.into())).unwrap();
    let columns = rows::table(TIMELINE).table.columns;
    let texts = |column: &str| match &row[columns.iter().position(|(known, _)| *known == column).unwrap()] {
        Value::Texts(texts) => texts.clone(),
        other => panic!("{column}: {other:?}"),
    };
    (texts("issues_detected"), texts("related_events"))
}

async fn followed(store: &MemoryStore, id: &str) -> Vec<String> {
    named(store, id).await.1
}

#[tokio::test]
async fn a_row_names_the_metrics_that_got_worse_and_the_incidents_that_followed() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(with_incidents(), metrics())]).await;
    let (issues, related) = named(&store, "slow").await;
    assert_eq!(related, ["spike", "severe"], "by time");
    let [issue] = &issues[..] else { panic!("{issues:?}") };
    assert!(issue.starts_with("http_latency_ms +") && issue.ends_with('%'), "{issue}");
    assert_eq!(named(&store, "quiet").await, (Vec::new(), Vec::new()));
    let before = stored(&store).await;
    drive_with(&store, vec![rows_of(with_incidents(), metrics())]).await;
    assert_eq!(stored(&store).await, before, "a second run changes nothing");
}

/// They count; a copy that is withdrawn, was moved, or is no incident does not.
#[tokio::test]
async fn events_of_later_runs_change_what_a_row_names() {
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events(), metrics())]).await;
    assert_eq!(followed(&store, "slow").await, [""; 0]);
    drive_with(&store, vec![rows_of(incidents(), Vec::new())]).await;
    assert_eq!(followed(&store, "slow").await, ["spike", "severe"]);
    let withdrawn = Event { version: 1, withdrawn: true, ..incident(1, "spike", (4, 905)) };
    drive_with(&store, vec![rows_of(vec![withdrawn], Vec::new())]).await;
    assert_eq!(followed(&store, "slow").await, ["severe"]);
    let moved = Event { version: 1, ..incident(1, "severe", (4, 610)) };
    drive_with(&store, vec![rows_of(vec![moved], Vec::new())]).await;
    assert_eq!(followed(&store, "slow").await, [""; 0]);
    assert_eq!(followed(&store, "quiet").await, ["severe"]);
    let harmless = Event { version: 2, event_type: "queue".to_owned(), ..incident(1, "severe", (4, 610)) };
    drive_with(&store, vec![rows_of(vec![harmless], Vec::new())]).await;
    assert_eq!(followed(&store, "quiet").await, [""; 0]);
    agree(&store).await;
}

#[tokio::test]
async fn only_deployments_that_an_incident_followed_are_judged_again() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(with_incidents(), metrics())]).await;
    let mut impacts = impacts_of(&store).await;
    let note = |impacts: &mut Impacts, event: Event| impacts.note_late(&rows_of(vec![event], Vec::new()));
    let harmless = Event { event_type: "queue".to_owned(), ..incident(1, "other", (4, 905)) };
    let others = [harmless, incident(2, "other", (4, 905)), incident(1, "other", (4, 899)), incident(1, "o", (4, 961))];
    for one in others.clone() {
        note(&mut impacts, one);
        assert_eq!(due(&impacts), "none");
    }
    impacts.note_late(&rows_of(others.to_vec(), Vec::new()));
    assert_eq!(due(&impacts), "none", "each is of its own colony and time, also in one tick");
    let late = incident(1, "other", (4, 960));
    note(&mut impacts, late.clone());
    let slow = at(4, 900);
    assert_eq!(due(&impacts), format!("{slow} {slow}"));
    let late = rows_of(vec![late], Vec::new()).into();
    store.commit(&Commit { late, ..sinks::compliance::commit_of(98, Rows::default()) }).await.unwrap();
    let derived = impacts.judge(usize::MAX, store.reader().as_ref()).await.unwrap();
    store.commit(&Commit { derived, ..sinks::compliance::commit_of(99, Rows::default()) }).await.unwrap();
    assert_eq!(followed(&store, "slow").await, ["spike", "other", "severe"]);

    // its row names it, wherever it is now
    let mut impacts = impacts_of(&store).await;
    note(&mut impacts, Event { version: 1, ..incident(1, "spike", (9, 0)) });
    assert_eq!(due(&impacts), format!("{slow} {slow}"));
}

/// What the row of a deployment says became of it.
pub(super) async fn verdict(store: &MemoryStore, id: &str) -> (Verdict, String) {
    let [timeline, _] = stored(store).await;
    let row = timeline.into_iter().find(|row| row[1] == Value::Text(id.into())).unwrap();
    let Stored { verdict, verdict_reason, .. } = Stored::of_row(&row).unwrap();
    (verdict, verdict_reason)
}

/// A crash of another service, before the deployment or later than an hour after it does not.
#[tokio::test]
async fn a_crash_of_the_service_fails_its_deployment_also_when_it_is_reported_late() {
    let others = [
        Event { service_id: "web".to_owned(), ..crash("other", (4, 605)) },
        crash("before", (4, 599)),
        crash("after", (4, 661)),
        Event { event_type: "crash".to_owned(), ..incident(2, "elsewhere", (4, 605)) },
    ];
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(with(others.to_vec()), metrics())]).await;
    assert_eq!(verdict(&store, "quiet").await, (Verdict::Success, "nothing got worse within 60 minutes".to_owned()));

    let mut impacts = impacts_of(&store).await;
    let late = rows_of(vec![crash("down", (4, 610))], Vec::new());
    impacts.note_late(&late);
    let commit = Commit { late: late.into(), ..sinks::compliance::commit_of(98, Rows::default()) };
    store.commit(&commit).await.unwrap();
    let derived = impacts.judge(usize::MAX, store.reader().as_ref()).await.unwrap();
    store.commit(&Commit { derived, ..sinks::compliance::commit_of(99, Rows::default()) }).await.unwrap();
    let down = "its service crashed 10m after the start (oom_kill down)".to_owned();
    assert_eq!(verdict(&store, "quiet").await, (Verdict::Failed, down));
    agree(&store).await;
}

/// Another deployment of the service in production.
fn other_deployment(minute: i64) -> Event {
    Event {
        service_id: "api".to_owned(),
        metadata: [("version".to_owned(), "v-other".to_owned())].into(),
        ..fixtures::event(COLONIES[1].0, "other", at(4, minute))
    }
}

#[tokio::test]
async fn a_crash_may_belong_to_an_earlier_deployment_and_to_no_later_one() {
    for (minute, expected) in [(630, Verdict::Failed), (605, Verdict::Pending)] {
        let store = MemoryStore::new();
        let others = vec![other_deployment(minute), crash("down", (4, 610))];
        drive_with(&store, vec![rows_of(with(others), metrics())]).await;
        let (verdict, reason) = verdict(&store, "quiet").await;
        assert_eq!(verdict, expected, "{reason}");
        assert!(reason.starts_with("its service crashed 10m after the start (oom_kill down)"), "{reason}");
        agree(&store).await;
    }
}

#[tokio::test]
async fn a_crash_that_is_withdrawn_fails_nothing_however_many_events_followed() {
    let store = MemoryStore::new();
    let many = (0..RELATED_MAX + 5).map(|number| incident(1, &format!("spike-{number:03}"), (4, 602)));
    drive_with(&store, vec![rows_of(with(many.chain([crash("down", (4, 610))]).collect()), metrics())]).await;
    let related = followed(&store, "quiet").await;
    assert_eq!((related.len(), related[RELATED_MAX - 1].as_str()), (RELATED_MAX, "down"));
    assert_eq!(verdict(&store, "quiet").await.0, Verdict::Failed);
    agree(&store).await;
    let withdrawn = Event { version: 1, withdrawn: true, ..crash("down", (4, 610)) };
    drive_with(&store, vec![rows_of(vec![withdrawn], Vec::new())]).await;
    assert_eq!(verdict(&store, "quiet").await.0, Verdict::Success);
    agree(&store).await;
}

/// The service is down, and others of the colony have metrics.
#[tokio::test]
async fn a_service_without_metrics_after_its_deployment_is_not_judged_and_the_reason_says_why() {
    let store = MemoryStore::new();
    let is_seen = |point: &model::metric::MetricPoint| {
        point.series.names().colony_id != COLONIES[1].0 || !(at(4, 600)..at(4, 680)).contains(&point.timestamp)
    };
    let metrics = metrics().into_iter().filter(is_seen).collect();
    drive_with(&store, vec![rows_of(events(), metrics)]).await;
    let reason = "its metrics ended: there are none within 60 minutes after it".to_owned();
    assert_eq!(verdict(&store, "quiet").await, (Verdict::Pending, reason));
    agree(&store).await;
}

/// The first ones are named; the event that reports the deployment is none of them.
#[tokio::test]
async fn a_row_names_so_many_events() {
    let many = (0..RELATED_MAX + 5).map(|number| incident(1, &format!("spike-{number:03}"), (4, 902)));
    let mut events: Vec<Event> = with(many.collect());
    let slow = events.iter_mut().find(|event| event.event_id == "slow").unwrap();
    slow.severity = Severity::Warning;
    let store = MemoryStore::new();
    drive_with(&store, vec![rows_of(events, metrics())]).await;
    let related = followed(&store, "slow").await;
    assert_eq!((related.len(), related[0].as_str()), (RELATED_MAX, "spike-000"));
    assert!(!related.contains(&"slow".to_owned()));
}

/// Deployments are kept for longer than events: one that is judged again then does not lose what followed it, nor that its
/// service crashed.
#[tokio::test]
async fn events_that_are_deleted_stay_named() {
    let store = MemoryStore::new();
    let down = crash("down-too", (4, 959));
    let mut all = with_incidents();
    all.push(down.clone());
    drive_with(&store, vec![rows_of(all, metrics())]).await;
    let [timeline, _] = stored(&store).await;
    let slow: Vec<Vec<Value>> = timeline.into_iter().filter(|row| row[1] == Value::Text("slow".into())).collect();
    let severe = incidents().into_iter().find(|event| event.event_id == "severe").unwrap();
    let withdrawn = |event: &Event| Event { version: 1, withdrawn: true, ..event.clone() };
    let reports = events().into_iter().find(|event| event.event_id == "slow").unwrap();
    let named = || vec!["spike", "down-too", "severe"];
    let cases = [
        ("all are deleted", Vec::new(), Some(at(5, 0)), named()),
        ("none may be deleted", Vec::new(), Some(at(4, 900)), Vec::new()),
        ("the last one is stored", vec![severe.clone()], Some(at(4, 960)), named()),
        ("and withdrawn", vec![withdrawn(&severe)], Some(at(4, 960)), vec!["spike", "down-too"]),
        ("the crash is withdrawn", vec![withdrawn(&down), severe.clone()], Some(at(4, 930)), vec!["spike", "severe"]),
        ("in a replay all are deleted", Vec::new(), None, named()),
        ("in a replay the last one is stored", vec![severe.clone()], None, named()),
        ("in a replay none is deleted", vec![reports], None, Vec::new()),
    ];
    for (case, events, events_from, expected) in cases {
        let change = DerivedChange { table: TIMELINE.to_owned(), upserts: slow.clone(), removed: Vec::new() };
        let mut without = MemoryStore::new();
        let rows = rows_of(events, metrics());
        without.commit(&Commit { derived: vec![change], ..sinks::compliance::commit_of(1, rows) }).await.unwrap();
        let mut impacts = impacts_of(&without).await;
        impacts.keep_events_from(events_from);
        let line = impacts.timeline.all().next().unwrap().line.clone();
        impacts.due.add(&line);
        let derived = impacts.judge(usize::MAX, without.reader().as_ref()).await.unwrap();
        without.commit(&Commit { derived, ..sinks::compliance::commit_of(2, Rows::default()) }).await.unwrap();
        assert_eq!(followed(&without, "slow").await, expected, "{case}");
        let (verdict, reason) = verdict(&without, "slow").await;
        // it was much slower as well
        assert_eq!(verdict, Verdict::Failed, "{case}");
        assert_eq!(reason.contains("down-too"), expected.contains(&"down-too"), "{case}: {reason}");
    }
}

/// Also where another deployment may have caused it, which is judged again.
#[tokio::test]
async fn a_crash_that_is_deleted_stays_the_reason_of_a_verdict_that_is_pending() {
    let store = MemoryStore::new();
    let others = vec![other_deployment(605), crash("down", (4, 610))];
    drive_with(&store, vec![rows_of(with(others), metrics())]).await;
    let pending = verdict(&store, "quiet").await;
    assert_eq!(pending.0, Verdict::Pending);
    let alone = (Verdict::Failed, "its service crashed 10m after the start (oom_kill down)".to_owned());
    let [timeline, _] = stored(&store).await;
    for (kept, expected) in [(&["quiet", "other"][..], &pending), (&["quiet"][..], &alone)] {
        let is_kept = |row: &&Vec<Value>| kept.iter().any(|id| row[1] == Value::Text((*id).to_owned()));
        let upserts: Vec<Vec<Value>> = timeline.iter().filter(is_kept).cloned().collect();
        assert_eq!(upserts.len(), kept.len());
        let change = DerivedChange { table: TIMELINE.to_owned(), upserts, removed: Vec::new() };
        let mut without = MemoryStore::new();
        let rows = rows_of(Vec::new(), metrics());
        without.commit(&Commit { derived: vec![change], ..sinks::compliance::commit_of(1, rows) }).await.unwrap();
        let mut impacts = impacts_of(&without).await;
        impacts.keep_events_from(Some(at(5, 0)));
        let lines: Vec<Line> = impacts.timeline.all().map(|known| known.line.clone()).collect();
        lines.iter().for_each(|line| impacts.due.add(line));
        let derived = impacts.judge(usize::MAX, without.reader().as_ref()).await.unwrap();
        without.commit(&Commit { derived, ..sinks::compliance::commit_of(2, Rows::default()) }).await.unwrap();
        assert_eq!(&verdict(&without, "quiet").await, expected, "{kept:?}");
    }
}

/// Metrics are kept for less long than events: the verdict stays, and what followed is named.
#[tokio::test]
async fn an_incident_that_is_reported_late_is_named_also_when_the_metrics_are_deleted() {
    let mut store = MemoryStore::new();
    drive_with(&store, vec![rows_of(with_incidents(), metrics())]).await;
    let before = (verdict(&store, "quiet").await, named(&store, "quiet").await.0);
    let mut impacts = impacts_of(&store).await;
    impacts.keep_metrics_from(Some(at(0, 0)));
    let late = rows_of(vec![incident(1, "late", (4, 610))], Vec::new());
    impacts.note_late(&late);
    store.commit(&Commit { late: late.into(), ..sinks::compliance::commit_of(98, Rows::default()) }).await.unwrap();
    let derived = impacts.judge(usize::MAX, store.reader().as_ref()).await.unwrap();
    store.commit(&Commit { derived, ..sinks::compliance::commit_of(99, Rows::default()) }).await.unwrap();
    assert_eq!(followed(&store, "quiet").await, ["late"]);
    assert_eq!((verdict(&store, "quiet").await, named(&store, "quiet").await.0), before);
}
