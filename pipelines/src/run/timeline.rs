//! Timeline: what a restart makes of the stored timeline of deployments.
//!
//! Deployments are kept for longer than the events that report them. So a deployment of which an event is gone is final,
//! and so are earlier ones of its service: the engine gets from them what later ones depend on, the version in effect and
//! the known versions. All others are computed again from their events by the first evaluation, as patterns are: a run
//! may end between the commit of rows and that of their results. Versions that were only seen in a topology are in no
//! event and are fed from their rows.

use model::derived::{DerivedChange, Value};
use model::event::Event;
use model::time::TimeMs;
use model::topology::ServiceNode;
use operators::deployments::words::is_about_deployments;
use operators::deployments::{Deployment, Earlier, Input, Kind, TIMELINE};
use sinks::resolve::Seen;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::{SinkError, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// Colony and service.
type ServiceKey = (String, String);

/// The rows of the timeline.
#[derive(Debug, Default)]
pub(crate) struct StoredTimeline {
    /// By key.
    rows: BTreeMap<Vec<Value>, Vec<Value>>,
    services: BTreeMap<ServiceKey, Vec<Deployment>>,
    /// Deployments of a service that began before this are final.
    final_before: BTreeMap<ServiceKey, TimeMs>,
    /// Stored events about deployments, by colony and id.
    events: BTreeSet<(String, String)>,
}

fn table() -> Option<&'static DerivedTable> {
    DERIVED.iter().find(|derived| derived.table.name == TIMELINE)
}

/// A page of stored events about deployments, after the last one.
pub(crate) struct DeploymentEvents {
    types: Vec<String>,
    after: Option<Event>,
}

impl DeploymentEvents {
    /// All that are stored on time.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn of(reader: &dyn StoreReader) -> Result<DeploymentEvents, SinkError> {
        let mut types = reader.event_types().await?;
        types.retain(|event_type| is_about_deployments(event_type));
        Ok(DeploymentEvents { types, after: None })
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn next(&mut self, reader: &dyn StoreReader) -> Result<Vec<Event>, SinkError> {
        let page = reader.events_of(&self.types, self.after.as_ref(), PAGE_ROWS).await?;
        self.after = page.last().cloned();
        Ok(page)
    }
}

impl StoredTimeline {
    /// Reads all rows.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn read(reader: &dyn StoreReader) -> Result<StoredTimeline, SinkError> {
        let mut timeline = StoredTimeline::default();
        let Some(table) = table() else { return Ok(timeline) };
        let mut after = None;
        loop {
            let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
            for row in page.rows() {
                if let Some((colony_id, service_id, deployment)) = Deployment::of_row(&row) {
                    timeline.services.entry((colony_id, service_id)).or_default().push(deployment);
                }
                timeline.rows.insert(row[..table.table.key].to_vec(), row);
            }
            after = page.end();
            if after.is_none() {
                return Ok(timeline);
            }
        }
    }

    /// Notes stored events about deployments.
    pub(crate) fn note(&mut self, events: &[Event]) {
        self.events.extend(events.iter().map(|event| (event.colony_id.clone(), event.event_id.clone())));
    }

    /// What the engine needs of deployments that are final, and of versions that were seen. All events have been noted.
    pub(crate) fn facts(&mut self, nodes: &[Seen<ServiceNode>]) -> Vec<Input> {
        let mut facts = Vec::new();
        for (key, rows) in &self.services {
            let (colony_id, service_id) = key;
            let is_gone = |event_id: &String| !self.events.contains(&(colony_id.clone(), event_id.clone()));
            let without_events = rows.iter().filter(|row| row.reported_by.iter().any(is_gone));
            if let Some(last) = without_events.map(|row| row.started_at).max() {
                let before = last + 1;
                let old: Vec<Deployment> = rows.iter().filter(|row| row.started_at < before).cloned().collect();
                let mut earlier = Earlier::of((colony_id.as_str(), service_id.as_str()), before, &old, None);
                earlier.reported_by.retain(|event_id| !is_gone(event_id));
                facts.push(Input::Earlier(earlier));
                self.final_before.insert(key.clone(), before);
            }
            for row in rows.iter().filter(|row| row.kind == Kind::Observed && !self.is_final(key, row)) {
                facts.push(Input::seen(colony_id, service_id, &row.from_version, row.started_at - 1));
                facts.push(Input::seen(colony_id, service_id, &row.to_version, row.started_at));
            }
        }
        for Seen { first_seen_at, latest } in nodes {
            let rows = self.services.get(&(latest.colony_id.clone(), latest.service_id.clone()));
            let mut versions = rows.into_iter().flatten().flat_map(|row| [&row.from_version, &row.to_version]);
            // a version that no deployment names is the one that the service always had
            let is_named = versions.any(|version| *version == latest.version);
            let seen_at = if is_named { latest.seen_at } else { *first_seen_at };
            facts.extend(Input::of_node(&ServiceNode { seen_at, ..latest.clone() }));
        }
        facts
    }

    fn is_final(&self, key: &ServiceKey, row: &Deployment) -> bool {
        self.final_before.get(key).is_some_and(|before| row.started_at < *before)
    }

    /// What to write so that the store holds what was computed again. Final rows stay as they are.
    pub(crate) fn corrections(mut self, computed: Vec<DerivedChange>) -> Vec<DerivedChange> {
        let key_length = table().map_or(0, |table| table.table.key);
        let mut rows: BTreeMap<Vec<Value>, Option<Vec<Value>>> = BTreeMap::new();
        let (own, mut corrections): (Vec<_>, Vec<_>) =
            computed.into_iter().partition(|change| change.table == TIMELINE);
        for change in own {
            rows.extend(change.removed.into_iter().map(|key| (key, None)));
            rows.extend(change.upserts.into_iter().map(|row| (row[..key_length].to_vec(), Some(row))));
        }
        let mut stored = std::mem::take(&mut self.rows);
        let mut change = DerivedChange { table: TIMELINE.to_owned(), ..DerivedChange::default() };
        for (key, row) in rows {
            let before = stored.remove(&key);
            match row {
                Some(row) if before.as_ref() != Some(&row) => change.upserts.push(row),
                None if before.is_some() => change.removed.push(key),
                _ => {}
            }
        }
        for (key, row) in stored {
            let is_final = Deployment::of_row(&row)
                .is_some_and(|(colony_id, service_id, row)| self.is_final(&(colony_id, service_id), &row));
            if !is_final {
                change.removed.push(key);
            }
        }
        if !change.upserts.is_empty() || !change.removed.is_empty() {
            corrections.push(change);
        }
        corrections
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
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
    async fn reopened(store: &MemoryStore) -> (StoredTimeline, Deployments) {
        let reader = store.reader();
        let mut timeline = StoredTimeline::read(reader.as_ref()).await.unwrap();
        let mut events = DeploymentEvents::of(reader.as_ref()).await.unwrap();
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
    async fn restarted(
        events: &[Event],
        stored: usize,
        seen: &[(i64, &str)],
        later: &[(i64, &str)],
    ) -> Vec<Deployment> {
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
        let all = events.iter().cloned().filter_map(Input::of_event).chain(sightings(&nodes));
        let before = computed(&mut live, all);
        let rows = Rows { events: events[events.len() - stored..].to_vec(), nodes, ..Rows::default() };
        let mut store = MemoryStore::new();
        store.commit(&Commit { derived: before.clone(), ..commit_of(1, rows) }).await.unwrap();
        let mut expected = BTreeMap::new();
        apply(&mut expected, before);
        let mut found = expected.clone();
        apply(&mut expected, computed(&mut live, later.clone()));

        let (mut timeline, mut operator) = reopened(&store).await;
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

        let (mut timeline, mut operator) = reopened(&store).await;
        let facts = timeline.facts(&[]);
        assert!(
            matches!(&facts[..], [Input::Earlier(earlier)] if earlier.in_effect.as_deref() == Some("v1")),
            "{facts:?}"
        );
        operator.apply(facts.into_iter().map(|fact| (fact, 1)).collect());
        let corrections = timeline.corrections(model::derived::changes(operator.evaluate()));
        assert_eq!(corrections.len(), 1);
        assert_eq!(corrections[0].upserts, [row(&third)], "the second is stored as it was computed");
        assert_eq!(corrections[0].removed, [row(&stale)[..2].to_vec()], "the first stays without its event");
    }
}
