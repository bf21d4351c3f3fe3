//! The operator: samples in, corrections of derived events out.
//!
//! Everything about a cell follows from [`HISTORY_MS`] before it, so a change is followed by a walk from there to the end.
//! In a live run that is the newest cell. Events are final once the history of their cell is no longer whole, some two days
//! after they began with metrics of twelve days: they stay as they are, and later changes of such cells are ignored.
//!
//! Memory, per series: 8 bytes for each of the 3,456 cells of twelve days, some 60 for what is known beside each, and the
//! samples of two days with 16 bytes for each of their cells.

use super::cells::{CELL_MS, Cells, DAY, HOUR, cell_of, start_of};
use super::event::DerivedEvent;
use super::kinds::{Kind, Watched};
use super::usual::{Beside, DAYS, Recent};
use super::walk::{FULL_DAYS, Walk};
use crate::counts::Counts;
use crate::ext::Change;
use crate::metrics::block::Sample;
use model::series::{Series, SeriesId, SeriesKey};
use model::time::{DAY_MS, TimeMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How much of a series a cell depends on: the days of which the usual value is learnt, the day before a shift or that
/// widens the scale, the day for which an event lasts at most without being seen again, and some hours.
pub const HISTORY_MS: i64 = (DAYS + 3) * DAY_MS;
/// A shift within so many cells of another event of its series is part of that.
pub const SAME_CAUSE: i64 = 3 * HOUR;

/// What is fed after a restart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A stored event that is final.
    Final(DerivedEvent),
    /// Samples were read back from this time on: events are final up to [`final_before`] it. All samples have been fed.
    HistoryFrom(TimeMs),
}

/// Derived events of all series of a worker, kept current.
///
/// ```
/// use coral_operators::derived_events::{DerivedEvents, Kind};
/// use coral_operators::metrics::block::Sample;
/// use model::{real::Real, series::{SeriesId, SeriesRef}, time::{MINUTE_MS, TimeMs}};
/// let pool = SeriesRef { colony_id: "shop", service_id: "db", metric_name: "pool_utilization", ..SeriesRef::default() };
/// let sample = |minute: i64, value: f64| {
///     (Sample { series: SeriesId::of(pool), at: TimeMs(minute * MINUTE_MS), value: Real(value), weight: 1 }, 1)
/// };
/// let mut derived = DerivedEvents::default();
/// derived.apply((0..60).map(|minute| sample(minute, if minute < 30 { 0.5 } else { 0.97 })));
/// let events = derived.evaluate();
/// assert_eq!(events.len(), 1);
/// assert_eq!((events[0].0.kind, events[0].0.since), (Kind::Saturation, TimeMs(30 * MINUTE_MS)));
/// // it was not full after all
/// derived.apply((30..60).map(|minute| (sample(minute, 0.97).0, -1)));
/// assert_eq!(derived.evaluate()[0].1, -1);
/// ```
#[derive(Debug, Default)]
pub struct DerivedEvents {
    series: Vec<Tracked>,
    /// The place of each series, which may have come with several applications and environments.
    places: BTreeMap<&'static SeriesKey, usize>,
    /// The same by the number of the series.
    known: Vec<Option<usize>>,
    /// Series of which something has changed since the last evaluation, and the first cell that did.
    changed: BTreeMap<usize, i64>,
}

#[derive(Debug)]
struct Tracked {
    watched: Watched,
    /// The series that samples came with, which say application and environment, and how many of each in which cell.
    names: Vec<(SeriesId, Counts<i64>)>,
    cells: Cells,
    beside: BTreeMap<i64, Beside>,
    /// Where the walk stood before the first cell of an hour.
    stood: BTreeMap<i64, Walk>,
    /// What began, by the cell in which that was found.
    began: BTreeMap<i64, BTreeSet<(Kind, i64)>>,
    /// What has been returned and is not final.
    events: BTreeSet<DerivedEvent>,
    /// Cells before this are final.
    final_before: i64,
}

/// A series without samples for so long is forgotten.
pub const SILENT_MS: i64 = 90 * DAY_MS;

/// Events from before this are final once samples from before `time` are forgotten.
///
/// ```
/// use coral_operators::derived_events::state::final_before;
/// use model::time::TimeMs;
/// assert_eq!(final_before(TimeMs(0)).to_string(), "1970-01-11T00:00:00.000Z");
/// ```
pub fn final_before(time: TimeMs) -> TimeMs {
    start_of((cell_of(time) + HISTORY_MS / CELL_MS).div_euclid(HOUR) * HOUR)
}

impl DerivedEvents {
    /// Applies samples.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change<Sample>>) {
        for (sample, diff) in changes {
            let place = self.place(sample.series);
            let tracked = &mut self.series[place];
            let Some(cell) = tracked.cells.change(sample, diff) else { continue };
            tracked.count(sample.series, cell, diff);
            self.changed.entry(place).and_modify(|first| *first = cell.min(*first)).or_insert(cell);
        }
    }

    fn place(&mut self, series: SeriesId) -> usize {
        if let Some(place) = self.known.get(series.index()).copied().flatten() {
            return place;
        }
        let key = &series.series().key;
        let place = *self.places.entry(key).or_insert_with(|| {
            self.series.push(Tracked::new(Watched::of(&key.metric_name)));
            self.series.len() - 1
        });
        self.known.resize(self.known.len().max(series.index() + 1), None);
        self.known[series.index()] = Some(place);
        place
    }

    /// Looks again at series of which something has changed, and returns how the derived events change.
    pub fn evaluate(&mut self) -> Vec<Change<DerivedEvent>> {
        let mut corrections = Vec::new();
        for (place, first) in std::mem::take(&mut self.changed) {
            let tracked = &mut self.series[place];
            tracked.walk_from(first);
            let events = tracked.found();
            corrections.extend(tracked.events.difference(&events).map(|event| (event.clone(), -1)));
            corrections.extend(events.difference(&tracked.events).map(|event| (event.clone(), 1)));
            tracked.events = events;
        }
        corrections
    }

    /// Samples from before `time` were not read back. Events up to [`final_before`] it are not computed for series that have
    /// samples now: an earlier run has stored them.
    pub fn history_from(&mut self, time: TimeMs) {
        let boundary = cell_of(final_before(time));
        for tracked in self.series.iter_mut().filter(|tracked| tracked.cells.ends().is_some()) {
            tracked.final_before = tracked.final_before.max(boundary);
        }
    }

    /// Forgets samples more than `keep_ms` before the newest one of their series, and series without samples since
    /// [`SILENT_MS`] before `now`. Events of the [`HISTORY_MS`] after that, and older ones, stay as they are.
    pub fn forget(&mut self, now: TimeMs, keep_ms: i64) {
        for (place, tracked) in self.series.iter_mut().enumerate() {
            let Some((first, last)) = tracked.cells.ends() else { continue };
            let newest = start_of(last);
            if newest < now - SILENT_MS {
                self.changed.remove(&place);
                *tracked = Tracked::new(tracked.watched);
            } else if first < cell_of(newest - keep_ms) {
                tracked.forget_before(cell_of(newest - keep_ms));
            }
        }
    }
}

impl Tracked {
    fn new(watched: Watched) -> Tracked {
        Tracked {
            watched,
            names: Vec::new(),
            cells: Cells::default(),
            beside: BTreeMap::new(),
            stood: BTreeMap::new(),
            began: BTreeMap::new(),
            events: BTreeSet::new(),
            final_before: i64::MIN,
        }
    }

    fn count(&mut self, series: SeriesId, cell: i64, diff: i64) {
        let place = self.names.iter().position(|(known, _)| *known == series).unwrap_or_else(|| {
            self.names.push((series, Counts::default()));
            self.names.len() - 1
        });
        self.names[place].1.change(cell, diff);
    }

    /// The names in the newest cell that has samples, of several the greatest.
    fn series(&self) -> Option<&'static Series> {
        let newest = |counts: &Counts<i64>| counts.iter().rev().find(|(_, count)| *count > 0).map(|(cell, _)| *cell);
        let present = self.names.iter().filter_map(|(series, counts)| Some((newest(counts)?, series.series())));
        let last = present.max_by_key(|(cell, series)| (*cell, &series.application_name, &series.environment));
        last.map(|(_, series)| series)
    }

    /// Repeats the walk from the hour of a cell on.
    fn walk_from(&mut self, cell: i64) {
        let hour = cell.max(self.final_before).div_euclid(HOUR) * HOUR;
        // the last hour before which it is known where the walk stood
        let known = self.stood.range(..=hour).next_back().map(|(hour, walk)| (*hour, *walk));
        let (from, mut walk) = known.unwrap_or((i64::MIN, Walk::default()));
        drop((self.beside.split_off(&from), self.stood.split_off(&from), self.began.split_off(&from)));
        let Some((_, last)) = self.cells.ends() else { return };
        let walked: Vec<(i64, f64)> = self.cells.range(from..last + 1).collect();
        let mut recent = Recent::before(&self.beside, walked.first().map_or(from, |(cell, _)| *cell));
        let mut hour_of_walk = None;
        for (cell, value) in walked {
            let hour = cell.div_euclid(HOUR) * HOUR;
            if hour_of_walk != Some(hour) {
                hour_of_walk = Some(hour);
                self.stood.insert(hour, walk);
            }
            if let Some(one) = recent.beside(&self.cells, (cell, value), self.watched.floor) {
                recent.add(cell, one.distance);
                self.beside.insert(cell, one);
            }
            let most = match self.watched.full {
                None => 0.0,
                Some(_) => {
                    let week = self.cells.range(cell - FULL_DAYS * DAY..cell + 1).map(|(_, value)| value);
                    week.fold(f64::NEG_INFINITY, f64::max)
                }
            };
            let began = walk.step(self.watched, &self.cells, &self.beside, (cell, value, most));
            if !began.is_empty() {
                self.began.entry(cell).or_default().extend(began);
            }
        }
    }

    /// The events of what began.
    fn found(&self) -> BTreeSet<DerivedEvent> {
        let other: BTreeSet<i64> = self
            .began
            .values()
            .flatten()
            .filter(|(kind, _)| *kind != Kind::LevelShift)
            .map(|(_, cell)| *cell)
            .collect();
        let mut events = BTreeSet::new();
        for (kind, cell) in self.began.values().flatten().filter(|(_, cell)| *cell >= self.final_before) {
            let is_part =
                *kind == Kind::LevelShift && other.range(cell - SAME_CAUSE..=cell + SAME_CAUSE).next().is_some();
            let (Some(series), Some(value)) = (self.series(), self.cells.value(*cell)) else { continue };
            if !is_part {
                let usual = self.beside.get(cell).map(|one| one.usual);
                events.insert(DerivedEvent::new(*kind, series.names(), start_of(*cell), value, usual));
            }
        }
        events
    }

    fn forget_before(&mut self, cell: i64) {
        self.final_before = self.final_before.max(cell_of(final_before(start_of(cell))));
        let boundary = start_of(self.final_before);
        self.events.retain(|event| event.since >= boundary);
        self.cells.forget_before(cell, self.final_before);
        for (_, counts) in &mut self.names {
            counts.forget_below(&self.final_before);
        }
        self.names.retain(|(_, counts)| !counts.is_empty());
        self.beside = self.beside.split_off(&cell);
        self.began = self.began.split_off(&cell);
        // the last one before what may still change is needed
        let kept = self.stood.range(..=self.final_before).next_back().map(|(hour, _)| *hour);
        self.stood = self.stood.split_off(&kept.unwrap_or(cell));
    }
}
