//! Timeline: what a restart makes of the stored timeline of deployments.
//!
//! Deployments are kept for longer than the events that report them. So a deployment of which an event is gone is final,
//! and so are earlier ones of its service: the engine gets from them what later ones depend on, the version in effect and
//! the known versions. All others are computed again from their events by the first evaluation, as patterns are: a run
//! may end between the commit of rows and that of their results. Versions that were only seen in a topology are in no
//! event and are fed from the rows of deployments that have them.
//!
//! A run that does not keep verdicts and impacts deletes what an earlier one has stored of them: they would no longer
//! follow from the rows. Those of final deployments stay, since nothing changes them.

use crate::impact::rows::{self, Stored};
use model::derived::{DerivedChange, Value};
use model::event::Event;
use model::time::TimeMs;
use model::topology::ServiceNode;
use model::version::{NamedVersions, Version};
use operators::deployments::report::Report;
use operators::deployments::words::is_about_deployments;
use operators::deployments::{Deployment, Earlier, Input, Kind, TIMELINE};
use sinks::resolve::Seen;
use sinks::schema::{DERIVED, DerivedTable};
use sinks::{SinkError, StoreReader};
use std::collections::{BTreeMap, BTreeSet};

mod seen_again;

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
    /// Keys of rows with a verdict, where the run keeps none.
    with_verdict: BTreeSet<Vec<Value>>,
    /// The same of rows of impacts by metric.
    impacts: Vec<Vec<Value>>,
    /// The versions that stored events about deployments name, before and after, by colony and id.
    events: BTreeMap<(String, String), NamedVersions>,
}

fn table() -> Option<&'static DerivedTable> {
    DERIVED.iter().find(|derived| derived.table.name == TIMELINE)
}

/// A page of stored events about deployments, after the last one.
pub(crate) struct DeploymentEvents {
    types: Vec<String>,
    before: Option<TimeMs>,
    after: Option<Event>,
}

impl DeploymentEvents {
    /// All that are stored on time, from before a time if one is given.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn of(reader: &dyn StoreReader, before: Option<TimeMs>) -> Result<DeploymentEvents, SinkError> {
        let mut types = reader.event_types().await?;
        types.retain(|event_type| is_about_deployments(event_type));
        Ok(DeploymentEvents { types, before, after: None })
    }

    /// The next page; empty at the end.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn next(&mut self, reader: &dyn StoreReader) -> Result<Vec<Event>, SinkError> {
        let mut page = reader.events_of(&self.types, self.after.as_ref(), PAGE_ROWS).await?;
        self.after = page.last().cloned();
        // pages rise in time
        page.retain(|event| self.before.is_none_or(|before| event.timestamp < before));
        Ok(page)
    }
}

impl StoredTimeline {
    /// Reads all rows; with `keeps_impacts` the run keeps verdicts and impacts current.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn read(reader: &dyn StoreReader, keeps_impacts: bool) -> Result<StoredTimeline, SinkError> {
        let mut timeline = StoredTimeline::default();
        if !keeps_impacts {
            timeline.impacts = keys_of_impacts(reader).await?;
        }
        let Some(table) = table() else { return Ok(timeline) };
        let mut after = None;
        loop {
            let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
            for row in page.rows() {
                if let Some((colony_id, service_id, deployment)) = Deployment::of_row(&row) {
                    timeline.services.entry((colony_id, service_id)).or_default().push(deployment);
                }
                let key = row[..table.table.key].to_vec();
                if !keeps_impacts && Stored::of_row(&row).is_some() {
                    timeline.with_verdict.insert(key.clone());
                }
                // what follows from metrics is not computed here
                let mut row = row;
                rows::set_verdict(&mut row, None);
                timeline.rows.insert(key, row);
            }
            after = page.end();
            if after.is_none() {
                return Ok(timeline);
            }
        }
    }

    /// Notes stored events that are about deployments.
    pub(crate) fn note(&mut self, events: &[Event]) {
        let named = |event: &Event| {
            let report = Report::of(event).filter(|_| !event.withdrawn);
            report.map(|report| NamedVersions { from: report.from, to: report.to }).unwrap_or_default()
        };
        let identity = |event: &Event| (event.colony_id.clone(), event.event_id.clone());
        let own = events.iter().filter(|event| is_about_deployments(&event.event_type));
        self.events.extend(own.map(|event| (identity(event), named(event))));
    }

    /// What the engine needs of deployments that are final, and of versions that were seen. All events have been noted.
    pub(crate) fn facts(&mut self, nodes: &[Seen<ServiceNode>]) -> Vec<Input> {
        let mut facts = Vec::new();
        for (key, rows) in &self.services {
            let (colony_id, service_id) = key;
            let is_gone = |event_id: &String| !self.events.contains_key(&(colony_id.clone(), event_id.clone()));
            let without_events = rows.iter().filter(|row| row.reported_by.iter().any(is_gone));
            if let Some(last) = without_events.map(|row| row.started_at).max() {
                let before = last + 1;
                let old: Vec<Deployment> = rows.iter().filter(|row| row.started_at < before).cloned().collect();
                let mut earlier = Earlier::of((colony_id.as_str(), service_id.as_str()), before, &old, None);
                earlier.reported_by.retain(|event_id| !is_gone(event_id));
                facts.push(Input::Earlier(earlier));
                self.final_before.insert(key.clone(), before);
            }
            for row in rows.iter().filter(|row| !self.is_final(key, row)) {
                let (from, to) = self.only_seen(colony_id, row, rows);
                facts.extend(from.map(|from| Input::seen(colony_id, service_id, from, row.started_at - 1)));
                facts.extend(to.map(|to| Input::seen(colony_id, service_id, to, row.started_at)));
            }
        }
        for Seen { first_seen_at, latest } in nodes {
            let rows = self.services.get(&(latest.colony_id.clone(), latest.service_id.clone()));
            let rows = rows.map(Vec::as_slice).unwrap_or_default();
            let is_it = |version: &String| Version::are_same(version, &latest.version);
            // names of another kind: a deployment may have brought it
            let may_be_it = |row: &&Deployment| {
                let names = Version::read(&row.to_version).zip(Version::read(&latest.version));
                names.is_none_or(|(of_row, seen)| of_row.is_same(&seen).is_none())
            };
            let brought_at = rows.iter().filter(may_be_it).map(|row| row.started_at).max();
            let seen_at = if rows.iter().any(|row| is_it(&row.from_version) || is_it(&row.to_version)) {
                latest.seen_at
            } else {
                // one that no deployment names is the one that the service always had
                brought_at.map_or(*first_seen_at, |at| at.max(*first_seen_at).min(latest.seen_at))
            };
            facts.extend(Input::of_node(&ServiceNode { seen_at, ..latest.clone() }));
        }
        let again = self.seen_again(&facts);
        facts.extend(again);
        facts
    }

    /// Sightings with which these facts say of each observed version whether it stayed.
    fn seen_again(&self, facts: &[Input]) -> Vec<Input> {
        let mut sightings: BTreeMap<(&str, &str), Vec<(TimeMs, &str)>> = BTreeMap::new();
        for fact in facts {
            if let Input::Seen(seen) = fact {
                let of_service = sightings.entry((&seen.colony_id, &seen.service_id)).or_default();
                of_service.push((seen.at, &seen.version));
            }
        }
        let mut again = Vec::new();
        for (key, rows) in &self.services {
            let is_meant = |row: &&Deployment| row.kind == Kind::Observed && !self.is_final(key, row);
            let observed: Vec<&Deployment> = rows.iter().filter(is_meant).collect();
            let (colony_id, service_id) = (key.0.as_str(), key.1.as_str());
            let known = sightings.get(&(colony_id, service_id)).map(Vec::as_slice).unwrap_or_default();
            let added = seen_again::seen_again(known, &observed).into_iter();
            again.extend(added.map(|(at, version)| Input::seen(colony_id, service_id, version, at)));
        }
        again
    }

    /// The versions before and after a deployment that the topology has shown and no event names.
    fn only_seen<'a>(
        &self,
        colony_id: &str,
        row: &'a Deployment,
        rows: &[Deployment],
    ) -> (Option<&'a str>, Option<&'a str>) {
        if row.kind == Kind::Observed {
            return (Some(&row.from_version), Some(&row.to_version));
        }
        let named = |row: &Deployment| {
            let of_event = |event_id: &String| self.events.get(&(colony_id.to_owned(), event_id.clone()));
            row.reported_by.iter().filter_map(of_event).collect::<Vec<_>>()
        };
        let is = |named: &Option<Version>, version: &str| {
            named.as_ref().is_some_and(|named| Version::are_same(&named.text, version))
        };
        let own = named(row);
        let names_to = own.iter().any(|names| names.to.is_some());
        let is_deployment = row.kind == Kind::Deployment;
        // a row from before its event was amended says nothing of the topology
        if is_deployment && names_to && !own.iter().any(|names| is(&names.to, &row.to_version)) {
            return (None, None);
        }
        let is_to_seen = is_deployment && !names_to && !row.to_version.is_empty();
        // a change needs a version before it
        let is_from_seen = is_to_seen
            || (!own.iter().any(|names| is(&names.from, &row.from_version))
                && !rows.iter().any(|other| {
                    other.started_at < row.started_at && Version::are_same(&other.to_version, &row.from_version)
                }));
        let from = Some(row.from_version.as_str()).filter(|version| is_from_seen && !version.is_empty());
        (from, Some(row.to_version.as_str()).filter(|_| is_to_seen))
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
        let (mut stored, mut impacts) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.impacts));
        let is_final = |row: &Vec<Value>| {
            Deployment::of_row(row)
                .is_some_and(|(colony_id, service_id, row)| self.is_final(&(colony_id, service_id), &row))
        };
        impacts.retain(|key| !stored.get(&key[..key_length]).is_some_and(is_final));
        if !impacts.is_empty() {
            corrections.push(DerivedChange { table: rows::TABLE.to_owned(), upserts: Vec::new(), removed: impacts });
        }
        let mut change = DerivedChange { table: TIMELINE.to_owned(), ..DerivedChange::default() };
        for (key, row) in rows {
            let before = stored.remove(&key);
            match row {
                Some(row) if before.as_ref() != Some(&row) || self.with_verdict.contains(&key) => {
                    change.upserts.push(row);
                }
                None if before.is_some() => change.removed.push(key),
                _ => {}
            }
        }
        for (key, row) in stored {
            if !is_final(&row) {
                change.removed.push(key);
            }
        }
        if !change.upserts.is_empty() || !change.removed.is_empty() {
            corrections.push(change);
        }
        corrections
    }
}

/// The keys of the stored rows of impacts by metric.
async fn keys_of_impacts(reader: &dyn StoreReader) -> Result<Vec<Vec<Value>>, SinkError> {
    let table = rows::table(rows::TABLE);
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
        keys.extend(page.rows().iter().map(|row| row[..table.table.key].to_vec()));
        after = page.end();
        if after.is_none() {
            return Ok(keys);
        }
    }
}

#[cfg(test)]
mod tests;
