//! Clock: the current event time of an evaluation, for events and for metrics, derived from on-time rows only.
//!
//! Now must not follow one row, host or colony with a wrong clock: all other rows would fall out of the look-back. It
//! is therefore the newest time at which there is still something to correlate:
//! - **events**: the greatest time of the newest day that, with the days of its look-back, has two colonies and three
//!   distinct times. Newer metrics move it by up to a day and the longest lag: targets that have not occurred by then
//!   did not occur. Where events are derived from metrics, these move it all the way;
//! - **metrics**: of such a day (two colonies suffice) the second-largest of the newest times of its colonies, because
//!   the slower of two limits their common range.
//!
//! Without such a day it is the greatest time of all. Both are functions of the set of rows, independent of order, and
//! grow with it. Days older than the look-back are forgotten; the rest is committed with the positions.

use model::position::Positions;
use model::rows::Rows;
use model::time::{DAY_MS, TimeMs};
use operators::dataflow::{Evaluate, Params};
use serde::{Deserialize, Serialize};
use sinks::Watermarks;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// The name under which the clock is committed.
pub const CLOCK_NAME: &str = "event-clock";
/// Maximum number of days: a reef with a single colony has no day by which to forget.
const DAYS_MAX: usize = 1_000;
/// How many distinct times of events make something to correlate.
const EVENT_TIMES_MIN: usize = 3;
/// Maximum number of colonies per day.
const COLONIES_MAX: usize = 2;

/// Rises with the rows, never with the wall clock: results are a function of the rows.
#[derive(Clone, Debug)]
pub struct EventClock {
    events: Days,
    metrics: Days,
    /// How far metrics can move the now of events.
    quiet_ms: i64,
    /// Whether metrics make events.
    derives: bool,
    committed: Positions,
}

/// Metrics of which events are derived have moved the now of events on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overtaken {
    /// Where it would be by reported events alone.
    pub reported_now: TimeMs,
    /// Where it is.
    pub now: TimeMs,
}

/// The newest days of one kind of row.
#[derive(Clone, Debug)]
struct Days {
    /// How many days before a day belong to its look-back.
    look_back: i64,
    /// Number of distinct times required for a correlation, and stored per day.
    times_min: usize,
    by_day: BTreeMap<i64, Day>,
    /// The newest day whose look-back has enough rows.
    shared: Option<i64>,
}

/// One day (UTC). The stored form is JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Day {
    /// The colonies with the newest rows in it, and their times; the newest first, at most [`COLONIES_MAX`].
    colonies: Vec<(TimeMs, String)>,
    /// Its greatest distinct times, greatest first.
    times: Vec<TimeMs>,
}

impl Day {
    /// Adds a row; returns whether that changed anything.
    fn add(&mut self, colony_id: &str, time: TimeMs, times_max: usize) -> bool {
        let mut has_changed = false;
        let place = self.times.partition_point(|known| *known > time);
        if self.times.get(place) != Some(&time) && place < times_max {
            self.times.insert(place, time);
            self.times.truncate(times_max);
            has_changed = true;
        }
        match self.colonies.iter().position(|(_, known)| known == colony_id) {
            Some(known) if self.colonies[known].0 >= time => return has_changed,
            Some(known) => self.colonies[known].0 = time,
            None if self.colonies.len() == COLONIES_MAX && !self.is_before_last(colony_id, time) => return has_changed,
            None => self.colonies.push((time, colony_id.to_owned())),
        }
        self.colonies.sort_by(|(time, name), (other_time, other)| other_time.cmp(time).then(name.cmp(other)));
        self.colonies.truncate(COLONIES_MAX);
        true
    }

    fn is_before_last(&self, colony_id: &str, time: TimeMs) -> bool {
        self.colonies.last().is_none_or(|(last, name)| time > *last || (time == *last && colony_id < name.as_str()))
    }
}

impl Days {
    fn new(look_back_ms: i64, times_min: usize) -> Days {
        let look_back = look_back_ms.div_euclid(DAY_MS) + 1;
        Days { look_back, times_min, by_day: BTreeMap::new(), shared: None }
    }

    fn add<'a>(&mut self, rows: impl Iterator<Item = (&'a str, TimeMs)>) {
        let mut has_changed = false;
        for (colony_id, time) in rows {
            let day = time.0.div_euclid(DAY_MS);
            // too old to matter for any later row
            if self.shared.is_some_and(|shared| day < shared - self.look_back) {
                continue;
            }
            has_changed |= self.by_day.entry(day).or_default().add(colony_id, time, self.times_min);
        }
        if has_changed {
            self.settle();
        }
    }

    /// Finds the shared day, and forgets days before its look-back.
    fn settle(&mut self) {
        self.shared = self.by_day.keys().rev().copied().find(|day| self.is_shared(*day));
        if let Some(shared) = self.shared {
            self.by_day = self.by_day.split_off(&(shared - self.look_back));
        }
        while self.by_day.len() > DAYS_MAX {
            self.by_day.pop_first();
        }
    }

    fn is_shared(&self, day: i64) -> bool {
        let look_back = || self.by_day.range(day - self.look_back..=day).map(|(_, day)| day);
        let colonies: BTreeSet<&str> = look_back().flat_map(|day| &day.colonies).map(|(_, name)| &**name).collect();
        colonies.len() >= COLONIES_MAX && look_back().map(|day| day.times.len()).sum::<usize>() >= self.times_min
    }

    /// The greatest time of all.
    fn newest(&self) -> Option<TimeMs> {
        self.by_day.last_key_value()?.1.times.first().copied()
    }

    /// The greatest time of the shared day.
    fn newest_shared(&self) -> Option<TimeMs> {
        self.by_day.get(&self.shared?)?.times.first().copied()
    }

    /// The newest time of the second colony up to the shared day.
    fn second_shared(&self) -> Option<TimeMs> {
        let shared = self.shared?;
        let mut reached: BTreeMap<&str, TimeMs> = BTreeMap::new();
        for (time, name) in self.by_day.range(shared - self.look_back..=shared).flat_map(|(_, day)| &day.colonies) {
            reached.entry(name).and_modify(|known| *known = (*known).max(*time)).or_insert(*time);
        }
        let mut reached: Vec<TimeMs> = reached.into_values().collect();
        reached.sort_unstable();
        reached.iter().rev().nth(1).copied()
    }

    /// The newest day separately: it changes with every row, the others rarely.
    fn texts(&self) -> (String, String) {
        let newest = self.by_day.last_key_value().map(|(day, _)| *day);
        let earlier: BTreeMap<&i64, &Day> = self.by_day.iter().filter(|(day, _)| Some(**day) != newest).collect();
        let last: BTreeMap<&i64, &Day> = self.by_day.iter().filter(|(day, _)| Some(**day) == newest).collect();
        (serde_json::json!(earlier).to_string(), serde_json::json!(last).to_string())
    }

    fn read(&mut self, text: &str) {
        if let Ok(days) = serde_json::from_str::<BTreeMap<i64, Day>>(text) {
            self.by_day.extend(days);
        }
        self.settle();
    }
}

impl EventClock {
    /// A clock that knows no row.
    pub fn new(params: &Params) -> EventClock {
        EventClock {
            events: Days::new(params.events.horizon_ms, EVENT_TIMES_MIN),
            metrics: Days::new(params.metrics.window_ms + params.metrics.max_lag_ms, 1),
            quiet_ms: params.events.max_lag_ms + DAY_MS,
            derives: params.derived_events,
            committed: Positions::default(),
        }
    }

    /// The committed clock of a store. For a store of an earlier version only the newest time of each colony is known
    /// (`watermarks` of events and of metrics).
    pub fn of_store(params: &Params, positions: &BTreeMap<String, Positions>, watermarks: &Watermarks) -> EventClock {
        let mut clock = EventClock::new(params);
        match positions.get(CLOCK_NAME) {
            Some(committed) => clock.resume(committed),
            None => {
                let Watermarks { events, metrics } = watermarks;
                // a colony that has rows has more than one: it counts as repeated
                for before in 0..2_i64 {
                    clock.events.add(events.iter().map(|(colony_id, time)| (&**colony_id, *time - before)));
                }
                clock.metrics.add(metrics.iter().map(|(colony_id, time)| (&**colony_id, *time)));
            }
        }
        clock
    }

    fn resume(&mut self, committed: &Positions) {
        for (kind, days) in [("events", &mut self.events), ("metrics", &mut self.metrics)] {
            for part in ["days", "newest"] {
                if let Some(text) = committed.0.get(&format!("{kind}-{part}")) {
                    days.read(text);
                }
            }
        }
        self.committed = committed.clone();
    }

    /// Adds on-time rows.
    pub fn observe(&mut self, rows: &Rows) {
        self.events.add(rows.events.iter().map(|row| (&*row.colony_id, row.timestamp)));
        self.metrics
            .add(newest_of_runs(rows.metrics.iter().map(|row| (&*row.series.series().key.colony_id, row.timestamp))));
    }

    /// Changes since the last commit.
    pub fn take_moved(&mut self) -> Positions {
        let mut moved = Positions::default();
        for (kind, days) in [("events", &self.events), ("metrics", &self.metrics)] {
            if days.by_day.is_empty() {
                continue;
            }
            let (earlier, last) = days.texts();
            for (part, text) in [("days", earlier), ("newest", last)] {
                let part = format!("{kind}-{part}");
                if self.committed.0.get(&part) != Some(&text) {
                    moved.0.insert(part, text);
                }
            }
        }
        self.committed.advance(moved.clone());
        moved
    }

    /// The greatest time of any row; `None` before the first.
    pub fn newest(&self) -> Option<TimeMs> {
        self.events.newest().max(self.metrics.newest())
    }

    /// Now for events; `None` before the first.
    pub fn events_now(&self) -> Option<TimeMs> {
        let of_derived = self.metrics_now().filter(|_| self.derives);
        self.reported_now().max(of_derived)
    }

    /// Whether metrics have moved it further than they do where no event is derived from them; `None` without a reported
    /// event too.
    pub fn overtaken(&self) -> Option<Overtaken> {
        let (reported_now, now) = (self.reported_now()?, self.events_now()?);
        (now > reported_now).then_some(Overtaken { reported_now, now })
    }

    /// The same of events that were reported.
    fn reported_now(&self) -> Option<TimeMs> {
        let events = self.events.newest_shared().or(self.events.newest())?;
        let gone_on = self.metrics_now().map(|metrics| metrics.min(events + self.quiet_ms));
        Some(gone_on.map_or(events, |gone_on| gone_on.max(events)))
    }

    /// Now for metrics; `None` before the first.
    pub fn metrics_now(&self) -> Option<TimeMs> {
        self.metrics.second_shared().or(self.metrics.newest())
    }

    /// The greater of both: the reef's progress.
    pub fn now(&self) -> Option<TimeMs> {
        self.events_now().max(self.metrics_now())
    }

    /// The order to evaluate at these times; `None` before the first row.
    pub fn evaluate(&self) -> Option<Evaluate> {
        self.newest().map(|_| Evaluate { events_now: self.events_now(), metrics_now: self.metrics_now() })
    }
}

/// Of adjacent rows of one colony and day only the greatest, because there are many metric rows.
fn newest_of_runs<'a>(rows: impl Iterator<Item = (&'a str, TimeMs)>) -> impl Iterator<Item = (&'a str, TimeMs)> {
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let (colony_id, mut greatest) = rows.next()?;
        let day = greatest.0.div_euclid(DAY_MS);
        while let Some((_, time)) =
            rows.next_if(|(other, time)| *other == colony_id && time.0.div_euclid(DAY_MS) == day)
        {
            greatest = greatest.max(time);
        }
        Some((colony_id, greatest))
    })
}
