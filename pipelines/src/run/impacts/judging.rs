//! Judging: deployments that are due are judged together, from the store; what changes is written.
//!
//! A batch is of one application, in the order of time: its deployments share colonies and days, and what is read for it is
//! about what is needed. How many there are follows from how many values the last batch needed, so that a batch of a large
//! colony takes no more memory than one of a small one.

use super::super::due::{Id, Known};
use super::{Impacts, Key, change_of, key_of};
use crate::impact::related::{self, Followed};
use crate::impact::rows::{self, Stored};
use crate::impact::watch::impacts_on;
use crate::impact::windows::{LOOKS_MIN, Moment};
use crate::impact::{Impact, Line};
use model::derived::{DerivedChange, Value};
use operators::deployments::TIMELINE;
use sinks::{SinkError, StoreReader};
use std::collections::BTreeSet;

/// Most values that a batch should need, at 16 bytes each.
const POINTS_MAX: usize = 2_000_000;
/// Deployments of the first batch, and of any.
const LENGTH: (usize, usize) = (16, 256);
/// A deployment of all services of a colony counts as so many.
const WHOLE_COLONY: usize = 16;

/// How many deployments a batch has.
#[derive(Debug)]
pub(super) struct Batch {
    length: usize,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { length: LENGTH.0 }
    }
}

impl Batch {
    /// Where the first batch ends of deployments in the order of application and time.
    fn end(&self, lines: &[Line]) -> usize {
        let weight = |line: &Line| if line.service_id.is_empty() { WHOLE_COLONY } else { 1 };
        let mut weights = 0;
        let fits = |line: &&Line| {
            weights += weight(line);
            weights <= self.length && line.application_name == lines[0].application_name
        };
        lines.iter().take_while(fits).count().clamp(1, lines.len())
    }

    /// A batch of so many deployments needed so many values.
    fn learn(&mut self, deployments: usize, points: usize) {
        let fitting = deployments * POINTS_MAX / points.max(1);
        self.length = fitting.clamp(1, (2 * self.length).min(LENGTH.1));
    }
}

/// A deployment with what was found of it.
struct Judged {
    known: Known,
    line: Line,
    impact: Impact,
    followed: Followed,
    /// Its stored rows.
    before: Vec<Vec<Value>>,
    /// What is stored of it, if metrics that it was judged by are deleted.
    lost: Option<Stored>,
}

impl Impacts {
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
        let mut left: Vec<(Line, Id)> = Vec::new();
        for id in self.due.take(most) {
            if let Some(known) = self.timeline.get(&id) {
                left.push((known.line.clone().identified(self.colonies.all()), id));
            }
        }
        left.sort_by(|(a, _), (b, _)| {
            (&a.application_name, a.start, &a.deployment_id).cmp(&(&b.application_name, b.start, &b.deployment_id))
        });
        let (lines, ids): (Vec<Line>, Vec<Id>) = left.into_iter().unzip();
        let mut changes = Vec::new();
        let mut from = 0;
        while from < lines.len() {
            let to = from + self.batch.end(&lines[from..]);
            match self.judge_batch(&lines[from..to], &ids[from..to], reader).await {
                Ok(found) => changes.extend(found),
                Err(error) => {
                    self.due.put_back(ids[from..].iter().cloned());
                    // what is known so far is written
                    return if changes.is_empty() { Err(error) } else { Ok(changes) };
                }
            }
            from = to;
        }
        Ok(changes)
    }

    /// Everything is read before anything is noted: a batch is judged as a whole or not at all.
    async fn judge_batch(
        &mut self,
        lines: &[Line],
        ids: &[Id],
        reader: &dyn StoreReader,
    ) -> Result<Vec<DerivedChange>, SinkError> {
        let others = self.others(lines);
        let known = (self.colonies.all(), &self.meanings);
        let row = |id: &Id| self.timeline.get(id).map(|known| known.row.as_slice()).unwrap_or_default();
        let reported: Vec<&[String]> = ids.iter().map(|id| rows::reported_by(row(id))).collect();
        let named: Vec<&[String]> = ids.iter().map(|id| rows::related_events(row(id))).collect();
        let mut followed = related::read(lines, (&reported, &named), reader).await?;
        for ((one, line), id) in followed.iter_mut().zip(lines).zip(ids) {
            // a deployment is kept for longer than the events that followed it; a replay does not know since when
            if self.events_from.map_or(!one.is_stored, |limit| line.start < limit) {
                *one = std::mem::take(one).with_deleted(rows::followed(row(id), line.start));
            }
        }
        let (impacts, points) = impacts_on((lines, &followed), &others, known, reader).await?;
        self.batch.learn(lines.len(), points);
        let mut judged = Vec::new();
        for (((line, id), impact), followed) in lines.iter().zip(ids).zip(impacts).zip(followed) {
            let Some(known) = self.timeline.get(id).cloned() else { continue };
            let before = match self.with_rows.contains(&key(line)) {
                true => rows::read(&line.colony_id, &line.deployment_id, reader).await?,
                false => Vec::new(),
            };
            let lost = self.lost(&known, &impact, reader).await?;
            judged.push(Judged { known, line: line.clone(), impact, followed, before, lost });
        }
        let (mut upserts, mut removed, mut timeline) = (Vec::new(), Vec::new(), Vec::new());
        for one in judged {
            self.follow_judged(one, (&mut upserts, &mut removed), &mut timeline);
        }
        let of_metrics = change_of(rows::TABLE, upserts, removed);
        Ok(of_metrics.into_iter().chain(change_of(TIMELINE, timeline, Vec::new())).collect())
    }

    /// Deployments that may matter to these, which are of one application.
    fn others(&self, lines: &[Line]) -> Vec<Line> {
        let colonies = self.colonies.all();
        let Some(first) = lines.first() else { return Vec::new() };
        let of_application = colonies.iter().filter(|(_, colony)| colony.application_name == first.application_name);
        let mut near: BTreeSet<&str> = of_application.map(|(id, _)| id.as_str()).collect();
        near.extend(lines.iter().map(|line| line.colony_id.as_str()));
        let moments = || lines.iter().map(Line::moment);
        let start = moments().map(|moment| moment.start).min().unwrap_or(first.start);
        let end = moments().map(|moment| moment.end).max().unwrap_or(start);
        let reach = self.timeline.reaching(Moment { start, end });
        let reach = reach.filter(|other| near.contains(other.line.colony_id.as_str()));
        reach.map(|other| other.line.clone().identified(colonies)).collect()
    }

    /// Adds what changes by one that was judged.
    fn follow_judged(
        &mut self,
        Judged { known, line, impact, followed, before, lost }: Judged,
        (upserts, removed): (&mut Vec<Vec<Value>>, &mut Vec<Vec<Value>>),
        timeline: &mut Vec<Vec<Value>>,
    ) {
        if let Some(stored) = lost {
            if line.went_wrong.is_some() || followed.crash.is_some() {
                // how it ended is known without metrics
                let look_minutes = stored.look_minutes;
                let metrics = rows::impact(stored, &before, &self.meanings).changes;
                let impact = Impact::new((impact.verdict, impact.verdict_reason), look_minutes, metrics);
                timeline.extend(self.set_verdict(known, (&impact, followed.events)));
            } else {
                let mut row = known.row.clone();
                rows::set_related_events(&mut row, followed.events);
                timeline.extend(self.set_row(known, row));
            }
            return;
        }
        let written = rows::of_impact(&line, &impact);
        let keys = before.iter().map(|row| key_of(row));
        removed.extend(keys.filter(|key| !written.iter().any(|row| row.starts_with(key))));
        match written.is_empty() {
            true => self.with_rows.remove(&key(&line)),
            false => self.with_rows.insert(key(&line)),
        };
        upserts.extend(written.into_iter().filter(|row| !before.contains(row)));
        timeline.extend(self.set_verdict(known, (&impact, followed.events)));
    }

    /// The row of a deployment, if what it says of its impact changes.
    fn set_verdict(&mut self, known: Known, judged: (&Impact, Vec<String>)) -> Option<Vec<Value>> {
        let mut row = known.row.clone();
        rows::set_verdict(&mut row, Some(judged));
        self.set_row(known, row)
    }

    /// The new row of a deployment, if it differs from the one that is known.
    fn set_row(&mut self, Known { line, row: before }: Known, row: Vec<Value>) -> Option<Vec<Value>> {
        if row == before {
            return None;
        }
        self.timeline.insert(Known { line, row: row.clone() });
        Some(row)
    }

    /// What is stored of a deployment at its last look, if metrics that it was judged by are deleted.
    pub(super) async fn lost(
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
}

fn key(line: &Line) -> Key {
    (line.colony_id.clone(), line.deployment_id.clone())
}
