//! Allowed lateness, decided once, at the source edge: per colony and kind of row, against the watermark before the batch.

use crate::Arrival;
use model::check::FUTURE_SKEW_MS_MAX;
use model::columns::MetricRow;
use model::event::Event;
use model::position::Positions;
use model::rows::Rows;
use model::series::Series;
use model::time::{SECOND_MS, TimeMs};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// The greatest on-time event time per colony.
pub type Watermarks = BTreeMap<String, TimeMs>;

/// The name under which the gate's state is committed beside the positions of the sources.
pub const GATE_NAME: &str = "lateness-gate";

/// Where a batch comes from, and when.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The source that delivered it.
    pub source: &'a str,
    /// Finite sources promise no order: none of their rows is late.
    pub is_finite: bool,
    /// What the source knows of its rows.
    pub arrival: Arrival,
    /// The reader's clock when it was delivered.
    pub now: TimeMs,
}

/// Splits batches into rows on time and late rows.
///
/// A row is late if it is more than the allowed lateness behind its colony's mark *before* the batch, so that the order
/// inside a batch does not change the verdict. The time of a metric bucket is its end: an open hourly bucket is not
/// late because minute buckets of the same hour are newer.
///
/// No wrong clock moves the mark of others (`Mark::reached`): the time of a row is limited by the reader's clock at its
/// arrival; a single row moves nothing; and if two services of a colony send, neither moves the mark alone. Rows that a
/// source held before it was first read to its end are never late, because they arrive in storage order, not in time
/// order.
///
/// The gate never reads stored rows: its state is committed with each tick ([`LatenessGate::take_moved`]) and restored
/// after a restart, and its verdict is stored with each row. Stored rows are not sufficient, because an event amended
/// to an earlier time replaces the row that had raised the mark.
#[derive(Clone, Debug, Default)]
pub struct LatenessGate {
    allowed_lateness_ms: i64,
    events: Marks,
    metrics: Marks,
}

/// One kind of row. The stored form is JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Marks {
    /// By colony.
    marks: BTreeMap<String, Mark>,
    /// Live sources that have been read to the end of their input once.
    caught_up: BTreeSet<String>,
    #[serde(skip)]
    has_moved: bool,
}

/// Progress of one colony: a function of the set of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The service with the greatest time, and that time.
    leader: (String, TimeMs),
    /// The same of all other services.
    runner_up: Option<(String, TimeMs)>,
    /// The second-largest distinct time of all rows.
    second: Option<TimeMs>,
}

impl Mark {
    fn new(service: &str, time: TimeMs) -> Mark {
        Mark { leader: (service.to_owned(), time), runner_up: None, second: None }
    }

    /// Adds an on-time row; returns whether that changed anything.
    fn raise(&mut self, service: &str, time: TimeMs) -> bool {
        let greatest = self.leader.1;
        let mut has_moved = true;
        if time > greatest {
            self.second = Some(greatest);
        } else if time < greatest && self.second.is_none_or(|second| time > second) {
            self.second = Some(time);
        } else {
            has_moved = false;
        }
        if self.leader.0 == service {
            self.leader.1 = greatest.max(time);
            return has_moved;
        }
        match &mut self.runner_up {
            Some((known, reached)) if known == service => {
                has_moved |= time > *reached;
                *reached = time.max(*reached);
            }
            Some(other) if rank(service, time) <= rank(&other.0, other.1) => {}
            other => {
                *other = Some((service.to_owned(), time));
                has_moved = true;
            }
        }
        if let Some(other) = &mut self.runner_up
            && rank(&other.0, other.1) > rank(&self.leader.0, self.leader.1)
        {
            std::mem::swap(other, &mut self.leader);
            has_moved = true;
        }
        has_moved
    }

    /// The mark itself: the second-largest distinct time, limited by the time of a second service. A service that is
    /// further behind than clock errors explain does not limit the others.
    fn reached(&self) -> Option<TimeMs> {
        let second = self.second?;
        let vouched = self.runner_up.as_ref().map(|(_, time)| *time);
        let vouched = vouched.filter(|time| *time + FUTURE_SKEW_MS_MAX >= self.leader.1);
        Some(vouched.map_or(second, |time| time.min(second)))
    }
}

/// Of two services at the same time the one with the smaller name comes first: the order of rows must not matter.
fn rank(service: &str, time: TimeMs) -> (TimeMs, Reverse<&str>) {
    (time, Reverse(service))
}

impl LatenessGate {
    /// A gate that starts from the greatest times of stored rows, for a store written by an earlier version.
    pub fn new(allowed_lateness_ms: i64, events: Watermarks, metrics: Watermarks) -> LatenessGate {
        let marks = |watermarks: Watermarks| {
            // no service has this name: the first real one takes its place
            let reached = |time: TimeMs| Mark { second: Some(time), ..Mark::new("", time) };
            let marks: BTreeMap<_, _> =
                watermarks.into_iter().map(|(colony_id, time)| (colony_id, reached(time))).collect();
            // committed with the first tick: from then on only the committed state counts
            Marks { has_moved: !marks.is_empty(), marks, caught_up: BTreeSet::new() }
        };
        LatenessGate { allowed_lateness_ms, events: marks(events), metrics: marks(metrics) }
    }

    /// The same gate with the state committed under [`GATE_NAME`], which then replaces all other state: a store without
    /// transactions may have rows of an interrupted commit. An unreadable state changes nothing.
    pub fn resume(mut self, committed: &Positions) -> LatenessGate {
        for (kind, marks) in [("event", &mut self.events), ("metric", &mut self.metrics)] {
            if let Some(text) = committed.0.get(&format!("{kind}-marks")) {
                marks.read(text);
            } else if let Some(text) = committed.0.get(&format!("{kind}s")) {
                marks.read_times(text);
            } else {
                *marks = Marks::default();
            }
        }
        self
    }

    /// The state to commit with the rows judged since the last call; empty when nothing has moved.
    pub fn take_moved(&mut self) -> Positions {
        let mut moved = Positions::default();
        for (part, marks) in [("event-marks", &mut self.events), ("metric-marks", &mut self.metrics)] {
            if std::mem::take(&mut marks.has_moved) {
                moved.0.insert(part.to_owned(), serde_json::json!(marks).to_string());
            }
        }
        moved
    }

    /// The greatest times of events and of metric rows that were on time, over all colonies.
    pub fn greatest(&self) -> (Option<TimeMs>, Option<TimeMs>) {
        let greatest = |marks: &Marks| marks.marks.values().map(|mark| mark.leader.1).max();
        (greatest(&self.events), greatest(&self.metrics))
    }

    /// Moves late rows out of `rows` and returns them; advances the marks by the others.
    ///
    /// Repeats of a late row are late again; topology and status rows are never late.
    pub fn split_late(&mut self, rows: &mut Rows, origin: Origin<'_>) -> Rows {
        let mut late = Rows::default();
        let allowed_ms = self.allowed_lateness_ms;
        if self.events.judges(origin, !rows.events.is_empty()) {
            late.events = self.events.take_late_events(&mut rows.events, allowed_ms);
        }
        if self.metrics.judges(origin, !rows.metrics.is_empty()) {
            let mut is_late = self.metrics.late(allowed_ms);
            late.metrics = rows.metrics.split_off(|row| is_late(bucket_seen(row)));
        }
        self.events.raise(events_seen(&rows.events), origin.now);
        self.metrics.raise(rows.metrics.rows().map(bucket_seen), origin.now);
        late
    }
}

/// What the gate looks at in a row: colony, service, and time.
type Seen<'a> = (&'a str, &'a str, TimeMs);

fn events_seen(events: &[Event]) -> impl Iterator<Item = Seen<'_>> {
    events.iter().map(|event| (&*event.colony_id, &*event.service_id, event.timestamp))
}

/// A bucket lies where it ends.
fn bucket_seen(row: MetricRow<'_>) -> Seen<'static> {
    let Series { key, interval_seconds, .. } = row.series().series();
    let ends = row.timestamp() + i64::from(interval_seconds.unwrap_or(0)) * SECOND_MS;
    (&key.colony_id, &key.service_id, ends)
}

impl Marks {
    /// Whether rows of this origin can be late; notes that a source has caught up.
    fn judges(&mut self, origin: Origin<'_>, has_rows: bool) -> bool {
        if origin.is_finite || !has_rows {
            return false;
        }
        match origin.arrival {
            Arrival::Again => false,
            Arrival::Backlog => self.caught_up.contains(origin.source),
            Arrival::Live => {
                if !self.caught_up.contains(origin.source) {
                    self.caught_up.insert(origin.source.to_owned());
                    self.has_moved = true;
                }
                true
            }
        }
    }

    /// Says of each row whether it is late. Rows of one colony mostly come together, and its mark is looked up once for them.
    fn late<'a>(&'a self, allowed_ms: i64) -> impl FnMut(Seen<'_>) -> bool + 'a {
        let earliest = move |colony_id: &str| {
            let (colony_id, mark) = self.marks.get_key_value(colony_id)?;
            Some((colony_id, mark.reached().map(|reached| reached - allowed_ms)))
        };
        let mut before: Option<(&String, Option<TimeMs>)> = None;
        move |(colony_id, _, at)| {
            if before.is_none_or(|(known, _)| known != colony_id) {
                before = earliest(colony_id);
            }
            before.and_then(|(_, earliest)| earliest).is_some_and(|earliest| at < earliest)
        }
    }

    /// Moves the late ones out of `events`.
    fn take_late_events(&self, events: &mut Vec<Event>, allowed_ms: i64) -> Vec<Event> {
        // nearly always; then no row is moved
        if !events_seen(events).any(self.late(allowed_ms)) {
            return Vec::new();
        }
        let mut is_late = self.late(allowed_ms);
        let is_late = events_seen(events).map(&mut is_late).collect::<Vec<bool>>();
        let mut is_late = is_late.into_iter();
        let (late, on_time) = std::mem::take(events).into_iter().partition(|_| is_late.next().unwrap_or_default());
        *events = on_time;
        late
    }

    /// Adds on-time rows, with times limited by the reader's clock.
    fn raise<'a>(&mut self, rows: impl Iterator<Item = Seen<'a>>, now: TimeMs) {
        let mut rows = rows.peekable();
        while let Some((colony_id, service_id, at)) = rows.peek().copied() {
            let mark = match self.marks.get_mut(colony_id) {
                Some(mark) => mark,
                None => {
                    self.has_moved = true;
                    self.marks.entry(colony_id.to_owned()).or_insert(Mark::new(service_id, at.min(now)))
                }
            };
            while let Some((_, service_id, at)) = rows.next_if(|(of, _, _)| *of == colony_id) {
                self.has_moved |= mark.raise(service_id, at.min(now));
            }
        }
    }

    fn read(&mut self, text: &str) {
        if let Ok(read) = serde_json::from_str(text) {
            *self = read;
        }
    }

    /// The form of earlier versions: `{"colony": [greatest, second]}`.
    fn read_times(&mut self, text: &str) {
        let Ok(colonies) = serde_json::from_str::<BTreeMap<String, Vec<TimeMs>>>(text) else { return };
        *self = Marks::default();
        for (colony_id, times) in colonies {
            let Some(greatest) = times.first() else { continue };
            let mark = Mark { second: times.get(1).copied(), ..Mark::new("", *greatest) };
            self.marks.insert(colony_id, mark);
        }
    }
}
