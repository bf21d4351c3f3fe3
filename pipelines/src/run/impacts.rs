//! Impacts: keeps the stored impact of deployments current while a run writes rows.
//!
//! An impact follows from the rows of the store alone. Whatever may change one makes its deployment due: new and late
//! metric rows within its windows, a change of a deployment that it depends on, a look that is over, another colony of the
//! application. Those that are due are judged between two commits, and the next commit has the result. Which ones are due is
//! committed with the rows that made them so, as a span of time, so that a run that was killed continues. A deployment
//! whose windows are over and whose rows do not change is not judged again, and keeps its impact when its metrics are
//! deleted. Rows after the stored look of a deployment make it due only when the next look is over.
//!
//! Memory: the rows of the timeline.

use super::due::{Due, Id, Known, TimelineIndex};
use crate::evaluated::Evaluated;
use crate::impact::rows::{self, Stored};
use crate::impact::watch::impact_on;
use crate::impact::windows::LOOKS_MIN;
use crate::impact::{Colonies, Colony, Impact, Line};
use known::KnownColonies;
use model::derived::{DerivedChange, Value};
use model::meaning::Meanings;
use model::rows::Rows;
use model::series::SeriesId;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use operators::deployments::TIMELINE;
use sinks::error::FaultClass;
use sinks::{SinkError, StoreReader};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

mod known;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;
/// The part of the committed state that says what is due.
pub(crate) const DUE: &str = "impact_due";
/// The part that says what was stated about metrics.
pub(crate) const STATED: &str = "impact_metrics";

/// Minutes in which rows are, by the name of what has them and their service.
type Minutes = BTreeMap<(String, String), BTreeSet<TimeMs>>;

/// The impacts of all deployments of a store.
#[derive(Debug, Default)]
pub(crate) struct Impacts {
    timeline: TimelineIndex,
    due: Due,
    colonies: KnownColonies,
    meanings: Meanings,
    /// Deployments that are deleted, unlike the rows of their impacts.
    gone: Vec<Line>,
    /// Metrics from before it may be deleted.
    metrics_from: Option<TimeMs>,
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
        let colonies = KnownColonies::of_store(reader).await?;
        let mut impacts = Impacts { colonies, meanings: meanings.clone(), ..Impacts::default() };
        let mut after = None;
        loop {
            let page = reader.rows_of(rows::table(TIMELINE), after.as_ref(), PAGE_ROWS).await?;
            for row in page.rows() {
                if let Some(line) = Line::of_row(&row) {
                    impacts.timeline.insert(Known { line, row });
                }
            }
            after = page.end();
            if after.is_none() {
                break;
            }
        }
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

    /// Deployments change: their rows get the verdicts that are known, and those that depend on them become due. No commit
    /// is in progress.
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
                    self.gone.push(known.line);
                }
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
        while let Some(line) = self.gone.last() {
            if !self.timeline.has(line) {
                match rows::read(&line.colony_id, &line.deployment_id, reader).await {
                    Ok(stored) => {
                        let keys = stored.iter().map(|row| key_of(row)).collect();
                        changes.extend(change_of(rows::TABLE, Vec::new(), keys));
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

    /// The same of late rows, which end no look.
    pub(crate) fn note_late(&mut self, rows: &Rows) {
        if self.timeline.is_empty() {
            return;
        }
        let mut of_series: BTreeMap<SeriesId, BTreeSet<TimeMs>> = BTreeMap::new();
        for row in rows.metrics.rows() {
            of_series.entry(row.series()).or_default().insert(row.timestamp().floor_to(MINUTE_MS));
        }
        let first = of_series.values().filter_map(|minutes| minutes.first()).min().copied();
        let last = of_series.values().filter_map(|minutes| minutes.last()).max().copied();
        let Some((first, last)) = first.zip(last) else { return };
        // also by application: a colony is the sibling of others. Without a service: of all services
        let (mut of_colony, mut of_application) = (Minutes::new(), Minutes::new());
        for (series, minutes) in &of_series {
            let names = series.names();
            let colony = self.colonies.get(names.colony_id).map(|colony| colony.application_name.as_str());
            let application = colony.unwrap_or(names.application_name);
            for (map, name) in [(&mut of_colony, names.colony_id), (&mut of_application, application)] {
                for service in [names.service_id, ""] {
                    let key = (name.to_owned(), service.to_owned());
                    map.entry(key).or_default().extend(minutes.iter().copied());
                }
            }
        }
        let is_seen = |Known { line, row }: &Known, minutes: Option<&BTreeSet<TimeMs>>| {
            let look = Stored::of_row(row).and_then(|stored| stored.look_minutes);
            let has = |minutes: &BTreeSet<TimeMs>, span: Range<TimeMs>| {
                minutes.range(span.start.floor_to(MINUTE_MS)..span.end).next().is_some()
            };
            minutes.is_some_and(|minutes| seen_spans(line, look).any(|span| has(minutes, span)))
        };
        for known in self.timeline.reached_by(first..last + MINUTE_MS) {
            let of_service = |name: String| (name, known.line.service_id.clone());
            let own = of_colony.get(&of_service(known.line.colony_id.clone()));
            let of_application = of_application.get(&of_service(self.application_of(&known.line)));
            if is_seen(known, own) || is_seen(known, of_application) {
                self.due.add(&known.line);
            }
        }
    }

    /// Rows may have been deleted.
    pub(crate) fn note_deleted(&mut self) {
        self.colonies.mark_stale();
    }

    /// Metrics from before `limit` may be deleted.
    pub(crate) fn keep_metrics_from(&mut self, limit: Option<TimeMs>) {
        self.metrics_from = limit;
    }

    /// Judges up to `most` of those that are due, and returns what changes. No commit is in progress.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn judge(
        &mut self,
        most: usize,
        reader: &dyn StoreReader,
    ) -> Result<Vec<DerivedChange>, SinkError> {
        if let Some(before) = self.colonies.refresh(reader).await? {
            self.compare(&before);
        }
        let mut changes = Vec::new();
        for _ in 0..most {
            let Some(id) = self.due.next_one() else { break };
            match self.judge_one(&id, reader).await {
                Ok(found) => changes.extend(found),
                Err(error) if changes.is_empty() => return Err(error),
                // it stays due: what is known so far is written
                Err(_) => break,
            }
            self.due.done(&id);
        }
        Ok(changes)
    }

    async fn judge_one(&mut self, id: &Id, reader: &dyn StoreReader) -> Result<Vec<DerivedChange>, SinkError> {
        let Some(known) = self.timeline.get(id).cloned() else { return Ok(Vec::new()) };
        let colonies = self.colonies.all();
        let line = known.line.clone().identified(colonies);
        let reach = self.timeline.reaching(line.moment());
        let lines: Vec<Line> = reach.map(|other| other.line.clone().identified(colonies)).collect();
        let impact = impact_on(&line, &lines, (colonies, &self.meanings), reader).await?;
        let before = rows::read(&line.colony_id, &line.deployment_id, reader).await?;
        if let Some(stored) = self.lost(&known, &impact, reader).await? {
            if line.went_wrong.is_none() {
                return Ok(Vec::new());
            }
            // how it ended is known without metrics
            let look_minutes = stored.look_minutes;
            let metrics = rows::impact(stored, &before, &self.meanings).changes;
            let impact = Impact::new((impact.verdict, impact.verdict_reason), look_minutes, metrics);
            return Ok(self.set_verdict(known, &impact).into_iter().collect());
        }
        let written = rows::of_impact(&line, &impact);
        let upserts: Vec<Vec<Value>> = written.iter().filter(|row| !before.contains(row)).cloned().collect();
        let removed =
            before.iter().map(|row| key_of(row)).filter(|key| !written.iter().any(|row| row.starts_with(key)));
        let mut changes: Vec<DerivedChange> = change_of(rows::TABLE, upserts, removed.collect()).into_iter().collect();
        changes.extend(self.set_verdict(known, &impact));
        Ok(changes)
    }

    fn set_verdict(&mut self, Known { line, row: before }: Known, impact: &Impact) -> Option<DerivedChange> {
        let mut row = before.clone();
        rows::set_verdict(&mut row, Some(impact));
        if row == before {
            return None;
        }
        self.timeline.insert(Known { line, row: row.clone() });
        change_of(TIMELINE, vec![row], Vec::new())
    }

    /// What is stored of a deployment at its last look, if metrics that it was judged by are deleted.
    async fn lost(
        &self,
        Known { line, row }: &Known,
        impact: &Impact,
        reader: &dyn StoreReader,
    ) -> Result<Option<Stored>, SinkError> {
        let is_last = |stored: &Stored| stored.look_minutes == LOOKS_MIN.last().copied();
        let Some(stored) = Stored::of_row(row).filter(is_last) else { return Ok(None) };
        if impact.look_minutes.is_none() {
            return Ok(Some(stored));
        }
        let earliest = line.moment().spans().min_by_key(|span| span.start);
        let Some((span, limit)) = earliest.zip(self.metrics_from).filter(|(span, limit)| span.start < *limit) else {
            return Ok(None);
        };
        // rows of imported history are kept for longer than their own time says
        let colony = std::slice::from_ref(&line.colony_id);
        let kept = reader.metrics_of(colony, span.start, span.end.min(limit)).await?;
        Ok(kept.is_empty().then_some(stored))
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

fn change_of(table: &str, upserts: Vec<Vec<Value>>, removed: Vec<Vec<Value>>) -> Option<DerivedChange> {
    (!upserts.is_empty() || !removed.is_empty()).then(|| DerivedChange { table: table.to_owned(), upserts, removed })
}

#[cfg(test)]
mod tests;
