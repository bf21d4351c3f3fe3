//! Impacts: keeps the stored impact of deployments current while a run writes rows.
//!
//! An impact follows from the rows of the store alone. Whatever may change one makes its deployment due: new and late
//! metric rows within its windows, incidents of its colony in the hour after it, a change of a deployment that it depends
//! on, a look that is over, another colony of the application, a call between services that is new. Those that are due are judged between two commits, and the
//! next commit has the result. Which ones are due is committed with the rows that made them so, as a span of time, so that
//! a run that was killed continues. A deployment whose windows are over and whose rows do not change is not judged again,
//! and keeps its impact when its metrics are deleted, and the events that followed it when those are. Rows after the stored
//! look of a deployment make it due only when the next look is over.
//!
//! Deployments that are due together are judged together (`judging`): their metrics are read at once. Nothing is read for
//! them while rows are noted.
//!
//! Memory: the rows of the timeline, the keys of deployments whose metrics have impacts, and the calls between services.

use super::due::{Due, Known, TimelineIndex};
use crate::evaluated::Evaluated;
use crate::impact::linked::Linked;
use crate::impact::related;
use crate::impact::rows::{self, Stored};
use crate::impact::windows::LOOKS_MIN;
use crate::impact::{Colonies, Colony, Line};
use judging::Batch;
use known::KnownColonies;
use model::derived::{DerivedChange, Value};
use model::meaning::Meanings;
use model::rows::Rows;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use operators::deployments::TIMELINE;
use sinks::error::FaultClass;
use sinks::{SinkError, StoreReader};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

mod judging;
mod known;
mod minutes;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;
/// The part of the committed state that says what is due.
pub(crate) const DUE: &str = "impact_due";
/// The part that says what was stated about metrics.
pub(crate) const STATED: &str = "impact_metrics";

/// Colony and id of a deployment.
type Key = (String, String);

/// The impacts of all deployments of a store.
#[derive(Debug, Default)]
pub(crate) struct Impacts {
    timeline: TimelineIndex,
    due: Due,
    colonies: KnownColonies,
    linked: Linked,
    meanings: Meanings,
    /// Deployments that have rows of impacts, or may have.
    with_rows: BTreeSet<Key>,
    /// Deployments that are deleted, unlike the rows of their impacts.
    gone: Vec<Key>,
    /// How many are judged at once.
    batch: Batch,
    /// Metrics from before it may be deleted.
    metrics_from: Option<TimeMs>,
    /// The same of events.
    events_from: Option<TimeMs>,
}

impl Impacts {
    /// As the store has them.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn of_store(
        reader: &dyn StoreReader,
        meanings: &Meanings,
        evaluated: &Evaluated,
    ) -> Result<Impacts, SinkError> {
        let mut impacts =
            Impacts { colonies: KnownColonies::unread(), meanings: meanings.clone(), ..Impacts::default() };
        let mut stored: BTreeSet<Key> = BTreeSet::new();
        let mut after = None;
        loop {
            let page = reader.rows_of(rows::table(TIMELINE), after.as_ref(), PAGE_ROWS).await?;
            for row in page.rows() {
                stored.extend(deployment_of(&row));
                if let Some(line) = Line::of_row(&row) {
                    impacts.timeline.insert(Known { line, row });
                }
            }
            after = page.end();
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = reader.rows_of(rows::table(rows::TABLE), after.as_ref(), PAGE_ROWS).await?;
            impacts.with_rows.extend(page.rows().iter().filter_map(|row| deployment_of(row)));
            after = page.end();
            if after.is_none() {
                break;
            }
        }
        // a run was killed after it had deleted the deployment, and before it deleted these
        impacts.gone.extend(impacts.with_rows.difference(&stored).cloned());
        if impacts.is_empty() {
            return Ok(impacts);
        }
        impacts.colonies = KnownColonies::of_store(reader).await?;
        impacts.linked = Linked::read(reader).await?;
        let states_the_same = evaluated.text(STATED).is_none_or(|stated| stated == impacts.stated());
        let span = evaluated.text(DUE).and_then(Due::span_of_text);
        for known in impacts.timeline.all() {
            let is_due = span.as_ref().is_some_and(|span| span.contains(&known.line.start));
            let newest = newest_metric(impacts.colonies.all(), &known.line.colony_id);
            if is_due || !states_the_same || is_outdated(known, newest) {
                impacts.due.add(&known.line);
            }
        }
        Ok(impacts)
    }

    /// Whether there is something to judge, by rows that are or are being stored.
    pub(crate) fn is_behind(&self) -> bool {
        !self.timeline.is_empty() && (self.colonies.is_stale() || !self.due.is_empty())
    }

    /// How much there is to judge: a judgement that gets on makes it less.
    pub(crate) fn backlog(&self) -> (bool, usize) {
        (self.colonies.is_stale(), self.due.len())
    }

    /// What is committed beside the rows, by part.
    pub(crate) fn state(&self) -> [(&'static str, String); 2] {
        [(DUE, self.due.text()), (STATED, self.stated())]
    }

    fn stated(&self) -> String {
        serde_json::to_string(&self.meanings).unwrap_or_default()
    }

    /// Whether there is anything to keep current.
    pub(crate) fn is_empty(&self) -> bool {
        self.timeline.is_empty()
    }

    /// Whether [`follow`](Impacts::follow) reads the store to follow these changes: then no commit may be in progress.
    pub(crate) fn reads_to_follow(&self, changes: &[DerivedChange]) -> bool {
        let is_removal = |change: &DerivedChange| change.table == TIMELINE && !change.removed.is_empty();
        !self.gone.is_empty() || changes.iter().any(is_removal)
    }

    /// Deployments change: their rows get the verdicts that are known, and those that depend on them become due. Rows of
    /// impacts whose deployment is deleted are deleted as well.
    ///
    /// # Errors
    /// Those of the store, except those that may pass: impacts of deleted deployments are then deleted by a later call.
    pub(crate) async fn follow(
        &mut self,
        changes: &mut Vec<DerivedChange>,
        reader: &dyn StoreReader,
    ) -> Result<(), SinkError> {
        for change in changes.iter_mut().filter(|change| change.table == TIMELINE) {
            for key in &change.removed {
                if let Some(known) = self.timeline.remove(key) {
                    self.due.remove(&known.line);
                    self.touch(&known.line);
                }
                self.gone.extend(deployment_of(key).filter(|key| self.with_rows.contains(key)));
            }
            for row in &mut change.upserts {
                let Some(line) = Line::of_row(row) else { continue };
                let before = self.timeline.remove(row);
                if let Some(known) = &before {
                    rows::copy_verdict(&known.row, row);
                    self.due.remove(&known.line);
                    self.touch(&known.line);
                }
                self.touch(&line);
                self.due.add(&line);
                self.timeline.insert(Known { line, row: row.clone() });
            }
        }
        while let Some(key) = self.gone.last() {
            if !self.timeline.has(key) {
                match rows::read(&key.0, &key.1, reader).await {
                    Ok(stored) => {
                        let keys = stored.iter().map(|row| key_of(row)).collect();
                        changes.extend(change_of(rows::TABLE, Vec::new(), keys));
                        self.with_rows.remove(key);
                    }
                    Err(error) if error.class == FaultClass::Retry => {
                        tracing::warn!(%error, "impacts of deleted deployments stay until the next commit");
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.gone.pop();
        }
        Ok(())
    }

    /// Makes due what depends on a deployment: its windows, usual days and sibling may be those of others.
    fn touch(&mut self, line: &Line) {
        let application = self.application_of(line);
        for known in self.timeline.reached_by(line.moment().start..line.moment().end) {
            let is_related = known.line.colony_id == line.colony_id || self.application_of(&known.line) == application;
            if is_related {
                self.due.add(&known.line);
            }
        }
    }

    fn application_of(&self, line: &Line) -> String {
        let own = (!line.application_name.is_empty()).then(|| line.application_name.clone());
        own.or_else(|| Some(self.colonies.get(&line.colony_id)?.application_name.clone())).unwrap_or_default()
    }

    /// Rows on time are being written: deployments become due in whose windows they are, or whose next look they end. After
    /// the last judgement of a commit, because the next one sees them.
    pub(crate) fn note(&mut self, rows: &Rows) {
        for (colony_id, before, after) in self.colonies.note(rows) {
            for Known { line, .. } in self.timeline.reached_by(before..after + MINUTE_MS) {
                if line.colony_id == colony_id && reach_of(line, Some(before)) != reach_of(line, Some(after)) {
                    self.due.add(line);
                }
            }
        }
        self.note_late(rows);
    }

    /// Events are being written: what followed a deployment may be more, or less where a copy that was an incident is none
    /// any longer, is withdrawn or was moved.
    fn note_events(&mut self, rows: &Rows) {
        let mut incidents: BTreeMap<&str, Vec<TimeMs>> = BTreeMap::new();
        for event in &rows.events {
            for Known { line, .. } in self.timeline.naming(&event.colony_id, &event.event_id) {
                self.due.add(line);
            }
            if related::is_incident(event) {
                incidents.entry(&event.colony_id).or_default().push(event.timestamp);
            }
        }
        incidents.values_mut().for_each(|times| times.sort_unstable());
        let first = incidents.values().filter_map(|times| times.first()).min();
        let last = incidents.values().filter_map(|times| times.last()).max();
        let Some((first, last)) = first.zip(last) else { return };
        // each deployment once, however many incidents followed it
        for Known { line, .. } in self.timeline.followed_within(*first, *last) {
            let window = related::window(line);
            let times = incidents.get(line.colony_id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let next = times.partition_point(|at| *at < window.start);
            if times.get(next).is_some_and(|at| *at < window.end) {
                self.due.add(line);
            }
        }
    }

    /// Calls are being written: deployments of both services that are near each other overlap now.
    fn note_calls(&mut self, rows: &Rows) {
        for call in &rows.edges {
            if !self.linked.add(call) {
                continue;
            }
            let ends = [&call.from_service, &call.to_service];
            let is_end = |line: &Line| line.colony_id == call.colony_id && ends.contains(&&line.service_id);
            for Known { line, .. } in self.timeline.all().filter(|known| is_end(&known.line)) {
                let is_other = |known: &Known| {
                    is_end(&known.line) && known.line.service_id != line.service_id && line.is_near(&known.line)
                };
                if self.timeline.reaching(line.moment()).any(is_other) {
                    self.due.add(line);
                }
            }
        }
    }

    /// Late rows are being written, which end no look.
    pub(crate) fn note_late(&mut self, rows: &Rows) {
        self.note_calls(rows);
        if self.timeline.is_empty() {
            return;
        }
        self.note_events(rows);
        let Some((first, last)) = minutes::reach(&rows.metrics) else { return };
        // what is due already need not be looked at; while history is read, that is all
        let reached = self.timeline.reached_by(first..last + MINUTE_MS);
        let reached: Vec<&Known> = reached.filter(|known| !self.due.has(&known.line)).collect();
        if reached.is_empty() {
            return;
        }
        let minutes = minutes::of_rows(&rows.metrics);
        // also by application: a colony is the sibling of others
        let application = |of: &minutes::OfService| {
            let colony = self.colonies.get(of.colony_id).map(|colony| colony.application_name.as_str());
            colony.unwrap_or(of.application_name).to_owned()
        };
        let mut of_application: BTreeMap<String, Vec<&minutes::OfService>> = BTreeMap::new();
        for of in &minutes {
            of_application.entry(application(of)).or_default().push(of);
        }
        let is_seen = |Known { line, row }: &Known| {
            let look = Stored::of_row(row).and_then(|stored| stored.look_minutes);
            let spans: Vec<Range<TimeMs>> = seen_spans(line, look).collect();
            let own = minutes.iter().filter(|of| of.colony_id == line.colony_id);
            let related = of_application.get(&self.application_of(line)).into_iter().flatten().copied();
            // without a service: all services
            own.chain(related)
                .filter(|of| line.service_id.is_empty() || of.service_id == line.service_id)
                .any(|of| spans.iter().any(|span| of.has(span)))
        };
        let seen: Vec<Line> =
            reached.into_iter().filter(|known| is_seen(known)).map(|known| known.line.clone()).collect();
        seen.iter().for_each(|line| self.due.add(line));
    }

    /// Rows may have been deleted.
    pub(crate) fn note_deleted(&mut self) {
        self.colonies.mark_stale();
    }

    /// Metrics from before `limit` may be deleted.
    pub(crate) fn keep_metrics_from(&mut self, limit: Option<TimeMs>) {
        self.metrics_from = limit;
    }

    /// The same of events.
    pub(crate) fn keep_events_from(&mut self, limit: Option<TimeMs>) {
        self.events_from = limit;
    }

    /// Makes due what depends on colonies that have changed since `before`.
    fn compare(&mut self, before: &Colonies) {
        let now = self.colonies.all();
        let mut applications: BTreeSet<&str> = BTreeSet::new();
        for id in before.keys().chain(now.keys()) {
            let (before, after) = (before.get(id), now.get(id));
            let known = |colony: &Colony| {
                (colony.application_name.clone(), colony.environment.clone(), colony.newest_metric.is_some())
            };
            if before.map(known) != after.map(known) {
                applications
                    .extend([before, after].into_iter().flatten().map(|colony| colony.application_name.as_str()));
            }
        }
        for Known { line, .. } in self.timeline.all() {
            let reach = |colonies: &Colonies| reach_of(line, newest_metric(colonies, &line.colony_id));
            let of_colony = now.get(&line.colony_id).map(|colony| colony.application_name.as_str());
            let own = line.application_name.as_str();
            let has_changed = applications.contains(own) || of_colony.is_some_and(|name| applications.contains(name));
            if has_changed || reach(before) != reach(now) {
                self.due.add(line);
            }
        }
    }

    /// Forgets deployments from before `limit`, which the store has deleted.
    pub(crate) fn forget_before(&mut self, limit: TimeMs) {
        for line in self.timeline.forget_before(limit) {
            self.due.remove(&line);
            self.with_rows.remove(&(line.colony_id, line.deployment_id));
        }
    }
}

fn newest_metric(colonies: &Colonies, id: &str) -> Option<TimeMs> {
    colonies.get(id).and_then(|colony| colony.newest_metric)
}

/// What a judgement takes from the newest metric of a colony: the look, and before the first one for how long after the
/// end metrics are known, in milliseconds.
fn reach_of(line: &Line, newest: Option<TimeMs>) -> Option<(Option<i64>, i64)> {
    let (known_to, moment) = (newest? + MINUTE_MS, line.moment());
    let look = moment.look_min(known_to);
    let after_ms = if look.is_some() { 0 } else { (known_to - moment.end).max(0) };
    Some((look, after_ms))
}

/// The spans whose rows count at a look of so many minutes; before the first one, all spans.
fn seen_spans(line: &Line, look: Option<i64>) -> impl Iterator<Item = Range<TimeMs>> {
    let unseen_ms = look.map_or(0, |look| (LOOKS_MIN[3] - look) * MINUTE_MS);
    // each day has a span before and one after
    let cut_ms = move |place: usize| if place.is_multiple_of(2) { 0 } else { unseen_ms };
    line.moment().spans().enumerate().map(move |(place, span)| span.start..span.end - cut_ms(place))
}

/// Whether a deployment is not judged yet, or not at its last look that is over. A service without metrics has no look: it
/// is judged again only on the first day.
fn is_outdated(known: &Known, newest: Option<TimeMs>) -> bool {
    let Some(stored) = Stored::of_row(&known.row) else { return true };
    let Some(known_to) = newest.map(|newest| newest + MINUTE_MS) else { return false };
    let moment = known.line.moment();
    let is_recent = known_to - moment.end < DAY_MS;
    stored.look_minutes < moment.look_min(known_to) && (stored.look_minutes.is_some() || is_recent)
}

fn key_of(row: &[Value]) -> Vec<Value> {
    row[..rows::table(rows::TABLE).table.key].to_vec()
}

/// The deployment that a row, or a key, of the timeline or of impacts is of.
fn deployment_of(row: &[Value]) -> Option<Key> {
    match row {
        [Value::Text(colony_id), Value::Text(deployment_id), ..] => Some((colony_id.clone(), deployment_id.clone())),
        _ => None,
    }
}

fn change_of(table: &str, upserts: Vec<Vec<Value>>, removed: Vec<Vec<Value>>) -> Option<DerivedChange> {
    (!upserts.is_empty() || !removed.is_empty()).then(|| DerivedChange { table: table.to_owned(), upserts, removed })
}

#[cfg(test)]
mod tests;
