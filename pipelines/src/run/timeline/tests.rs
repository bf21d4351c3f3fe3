//! Tests of what a restart makes of the stored timeline.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::impact::{Impact, Verdict};
use model::rows::Rows;
use model::time::HOUR_MS;
use operators::deployments::{Deployments, Status};
use sinks::compliance::commit_of;
use sinks::compliance::rows::{START, event, node};
use sinks::memory::MemoryStore;
use sinks::{Commit, StoreWriter};

fn deployed(number: i64, from: &str, to: &str) -> Deployment {
    let at = START + number * HOUR_MS;
    Deployment {
        deployment_id: format!("d{number}"),
        application_name: "shop".to_owned(),
        environment: "production".to_owned(),
        from_version: from.to_owned(),
        to_version: to.to_owned(),
        started_at: at,
        completed_at: Some(at),
        status: Status::Success,
        kind: Kind::Deployment,
        reported_by: vec![format!("d{number}")],
        reported_as: Vec::new(),
    }
}

fn row(deployment: &Deployment) -> Vec<Value> {
    let row = deployment.row("shop-production", "api");
    [row.key, row.content].concat()
}

fn reported(number: i64, version: &str) -> Event {
    let metadata = [("version".to_owned(), version.to_owned())].into();
    let event_type = "deploy".to_owned();
    Event { event_type, metadata, ..event(&format!("d{number}"), number * HOUR_MS) }
}

/// The stored timeline, and an operator that knows the stored events.
async fn reopened(store: &MemoryStore, keeps_impacts: bool) -> (StoredTimeline, Deployments) {
    let reader = store.reader();
    let mut timeline = StoredTimeline::read(reader.as_ref(), keeps_impacts).await.unwrap();
    let mut events = DeploymentEvents::of(reader.as_ref(), None).await.unwrap();
    let mut operator = Deployments::default();
    loop {
        let page = events.next(reader.as_ref()).await.unwrap();
        if page.is_empty() {
            return (timeline, operator);
        }
        timeline.note(&page);
        operator.apply(page.into_iter().map(|event| (Input::Event(event), 1)).collect());
    }
}

fn computed(operator: &mut Deployments, inputs: impl IntoIterator<Item = Input>) -> Vec<DerivedChange> {
    operator.apply(inputs.into_iter().map(|input| (input, 1)).collect());
    model::derived::changes(operator.evaluate())
}

fn apply(rows: &mut BTreeMap<Vec<Value>, Vec<Value>>, changes: Vec<DerivedChange>) {
    for change in changes {
        change.removed.iter().for_each(|key| drop(rows.remove(key)));
        rows.extend(change.upserts.into_iter().map(|row| (row[..2].to_vec(), row)));
    }
}

/// Compares a run over `events` and versions seen at minutes with one that is restarted before `later`, when only the
/// last `stored` of the events are still stored. Returns the rows.
async fn restarted(events: &[Event], stored: usize, seen: &[(i64, &str)], later: &[(i64, &str)]) -> Vec<Deployment> {
    let node = |(minute, version): &(i64, &str)| ServiceNode {
        colony_id: "shop-production".to_owned(),
        service_id: "api".to_owned(),
        version: (*version).to_owned(),
        ..node(*minute)
    };
    let nodes: Vec<ServiceNode> = seen.iter().map(node).collect();
    let sightings = |nodes: &[ServiceNode]| nodes.iter().filter_map(Input::of_node).collect::<Vec<_>>();
    let later = sightings(&later.iter().map(node).collect::<Vec<_>>());
    let mut live = Deployments::default();
    let all = events.iter().filter_map(Input::of_event).chain(sightings(&nodes));
    let before = computed(&mut live, all);
    let rows = Rows { events: events[events.len() - stored..].to_vec(), nodes, ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: before.clone(), ..commit_of(1, rows) }).await.unwrap();
    let mut expected = BTreeMap::new();
    apply(&mut expected, before);
    let mut found = expected.clone();
    apply(&mut expected, computed(&mut live, later.clone()));

    let (mut timeline, mut operator) = reopened(&store, true).await;
    let facts = timeline.facts(&store.reader().services().await.unwrap());
    apply(&mut found, timeline.corrections(computed(&mut operator, facts.into_iter().chain(later))));
    assert_eq!(found, expected);
    let mut rows: Vec<Deployment> = found.values().filter_map(|row| Some(Deployment::of_row(row)?.2)).collect();
    rows.sort_by_key(|row| row.started_at);
    rows
}

fn versions(rows: &[Deployment]) -> Vec<String> {
    rows.iter().map(|row| format!("{}>{}", row.from_version, row.to_version)).collect()
}

#[tokio::test]
async fn a_deployment_whose_start_is_deleted_before_its_end_stays_one() {
    let of_type = |event: Event, event_type: &str| Event { event_type: event_type.to_owned(), ..event };
    let start = of_type(reported(1, "v1"), "deployment_started");
    let end = of_type(reported(2, "v1"), "deployment_finished");
    let rows = restarted(&[start, end, reported(3, "v2")], 2, &[], &[]).await;
    assert_eq!(versions(&rows), [">v1", "v1>v2"]);
    assert_eq!(rows[0].reported_by, ["d1", "d2"]);
}

/// The event of the first deployment is deleted, the row of the third was never written, and the last row is left
/// over from before its event was amended.
#[tokio::test]
async fn what_is_final_stays_and_the_rest_is_computed_again() {
    let (first, second, third) = (deployed(1, "v0", "v1"), deployed(2, "v1", "v2"), deployed(3, "v2", "v3"));
    let stale = Deployment { reported_by: vec!["d2".to_owned()], ..deployed(9, "v3", "v9") };
    let stored = DerivedChange {
        table: TIMELINE.to_owned(),
        upserts: [&first, &second, &stale].map(row).to_vec(),
        removed: Vec::new(),
    };
    let rows = Rows { events: vec![reported(2, "v2"), reported(3, "v3")], ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived: vec![stored], ..commit_of(1, rows) }).await.unwrap();

    let (mut timeline, mut operator) = reopened(&store, true).await;
    let facts = timeline.facts(&[]);
    assert!(matches!(&facts[..], [Input::Earlier(earlier)] if earlier.in_effect.as_deref() == Some("v1")), "{facts:?}");
    operator.apply(facts.into_iter().map(|fact| (fact, 1)).collect());
    let corrections = timeline.corrections(model::derived::changes(operator.evaluate()));
    assert_eq!(corrections.len(), 1);
    assert_eq!(corrections[0].upserts, [row(&third)], "the second is stored as it was computed");
    assert_eq!(corrections[0].removed, [row(&stale)[..2].to_vec()], "the first stays without its event");
}

/// The event of the first deployment is deleted.
#[tokio::test]
async fn a_run_that_keeps_no_impacts_deletes_those_of_deployments_that_are_not_final() {
    let (first, second) = (deployed(1, "v0", "v1"), deployed(2, "v1", "v2"));
    let judged = |deployment: &Deployment| {
        let mut row = row(deployment);
        let impact = Impact::new((Verdict::Degraded, "latency".to_owned()), Some(60), Vec::new());
        rows::set_verdict(&mut row, Some((&impact, Vec::new())));
        row
    };
    let of_metric = |deployment: &Deployment| {
        let key = ["shop-production", deployment.deployment_id.as_str(), "latency", "api"];
        let mut row = key.map(|text| Value::Text(text.to_owned())).to_vec();
        row.resize(rows::table(rows::TABLE).table.columns.len() - 2, Value::Null);
        row.extend([Value::Texts(Vec::new()), Value::Time(deployment.started_at)]);
        row
    };
    let change = |table: &str, upserts| DerivedChange { table: table.to_owned(), upserts, removed: Vec::new() };
    let derived = vec![
        change(TIMELINE, [&first, &second].map(judged).to_vec()),
        change(rows::TABLE, [&first, &second].map(of_metric).to_vec()),
    ];
    let rows = Rows { events: vec![reported(2, "v2")], ..Rows::default() };
    let mut store = MemoryStore::new();
    store.commit(&Commit { derived, ..commit_of(1, rows) }).await.unwrap();
    for keeps_impacts in [true, false] {
        let (mut timeline, mut operator) = reopened(&store, keeps_impacts).await;
        let facts = timeline.facts(&[]);
        let corrections = timeline.corrections(computed(&mut operator, facts));
        let removed = vec![of_metric(&second)[..4].to_vec()];
        let expected = [
            DerivedChange { table: rows::TABLE.to_owned(), upserts: Vec::new(), removed },
            change(TIMELINE, vec![row(&second)]),
        ];
        assert_eq!(corrections, if keeps_impacts { Vec::new() } else { expected.to_vec() });
    }
}

fn unnamed(number: i64) -> Event {
    let of = reported(number, "");
    Event { description: String::new(), metadata: BTreeMap::new(), ..of }
}

#[tokio::test]
async fn versions_that_only_the_topology_knew_survive_a_restart() {
    // the event names neither version
    let rows = restarted(&[unnamed(1)], 1, &[(0, "2.0.0"), (65, "2.1.0"), (300, "2.1.0")], &[(400, "2.2.0")]).await;
    assert_eq!(versions(&rows), ["2.0.0>2.1.0", "2.1.0>2.2.0"]);
    // it names the new one, in another spelling
    let seen = [(0, "2.0.0"), (65, "2.1.0"), (300, "2.1.0")];
    let rows = restarted(&[reported(1, "v2.1.0")], 1, &seen, &[(400, "2.2.0")]).await;
    assert_eq!(versions(&rows), ["2.0.0>v2.1.0", "2.1.0>2.2.0"]);
    // it names a commit, and the topology a version
    let rows = restarted(&[reported(1, "9fceb02")], 1, &seen, &[(400, "2.2.0")]).await;
    assert_eq!(versions(&rows), ["2.0.0>9fceb02", "2.1.0>2.2.0"]);
    // no event at all, and one that went back
    let seen = [(0, "1"), (65, "2"), (90, "1"), (130, "3")];
    let rows = restarted(&[], 0, &seen, &[(200, "3"), (210, "4")]).await;
    assert_eq!(versions(&rows), ["1>2", "1>3", "3>4"]);
    assert_eq!(rows[0].status, Status::RolledBack);
    // a later event continues from what was seen
    let events = [unnamed(1), reported(5, "2.2.0")];
    let rows = restarted(&events, 2, &[(0, "2.0.0"), (65, "2.1.0"), (305, "2.2.0")], &[]).await;
    assert_eq!(versions(&rows), ["2.0.0>2.1.0", "2.1.0>2.2.0"]);
}

fn statuses(rows: &[Deployment]) -> Vec<String> {
    rows.iter().map(|row| format!("{}>{} {}", row.from_version, row.to_version, row.status.as_str())).collect()
}

#[tokio::test]
async fn a_version_that_was_put_back_stays_so_after_a_restart() {
    // put back before the version that is in effect now came back
    let seen = [(0, "1"), (65, "2"), (90, "3"), (120, "1"), (150, "3")];
    let rows = restarted(&[], 0, &seen, &[]).await;
    assert_eq!(statuses(&rows), ["1>2 rolled_back", "2>3 success"]);
    let rows = restarted(&[], 0, &seen, &[(160, "3"), (170, "4")]).await;
    assert_eq!(statuses(&rows), ["1>2 rolled_back", "2>3 success", "3>4 success"]);
    let rows = restarted(&[], 0, &seen, &[(160, "2")]).await;
    assert_eq!(statuses(&rows), ["1>2 success", "2>3 rolled_back"]);
    // three, one in the other
    let seen = [(0, "1"), (10, "2"), (20, "3"), (30, "4"), (40, "3"), (50, "2"), (60, "1"), (70, "5")];
    let rows = restarted(&[], 0, &seen, &[(80, "5")]).await;
    assert_eq!(statuses(&rows), ["1>2 rolled_back", "2>3 rolled_back", "3>4 rolled_back", "1>5 success"]);
    // one that came back twice, before and after a version that followed another
    let seen = [(0, "1"), (65, "2"), (90, "3"), (120, "1"), (150, "4"), (160, "3"), (170, "4")];
    let rows = restarted(&[], 0, &seen, &[]).await;
    assert_eq!(statuses(&rows), ["1>2 rolled_back", "2>3 success", "1>4 success"]);
    let seen = [(0, "1"), (65, "2"), (90, "3"), (100, "4"), (120, "1"), (150, "3"), (200, "5")];
    let rows = restarted(&[], 0, &seen, &[]).await;
    assert_eq!(statuses(&rows), ["1>2 rolled_back", "2>3 success", "3>4 rolled_back", "3>5 success"]);
}

/// Every way in which six sightings can show up to four versions, with a restart after each of them.
#[tokio::test]
async fn any_few_sightings_give_the_same_rows_after_a_restart() {
    for number in 0..4_usize.pow(5) {
        let version = |place: u32| ["1", "2", "3", "4"][(number / 4_usize.pow(place)) % 4];
        let seen: Vec<(i64, &str)> =
            [(0, "1")].into_iter().chain((0..5).map(|place| (i64::from(place) * 10 + 10, version(place)))).collect();
        for stored in 1..=seen.len() {
            restarted(&[], 0, &seen[..stored], &seen[stored..]).await;
        }
    }
}
