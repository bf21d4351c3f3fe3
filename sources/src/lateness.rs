//! Allowed lateness, decided once, at the source edge: per colony and kind of row, against the watermark before the batch.

use model::event::Event;
use model::metric::MetricPoint;
use model::position::Positions;
use model::rows::Rows;
use model::time::{SECOND_MS, TimeMs};
use serde_json::Value;
use std::collections::BTreeMap;

/// The greatest event time seen on time, per colony.
pub type Watermarks = BTreeMap<String, TimeMs>;

/// The name under which the gate's state is committed beside the positions of the sources.
pub const GATE_NAME: &str = "lateness-gate";

/// Splits batches into rows on time and late rows.
///
/// A row is late when it lies more than the allowed lateness behind its colony's watermark *before* the batch, so that
/// the order inside a batch does not change the verdict. A metric bucket lies where it ends: an hourly bucket that is
/// still open is not late because the minute buckets beside it have moved on.
///
/// The watermark is the second greatest of the distinct times that were on time. One row with a time in the future (a
/// clock that was wrong once) therefore makes no other row late, and the wall clock has no part in it: recorded input is
/// judged as it was live.
///
/// The gate never looks at stored rows again: its state is committed with each tick ([`LatenessGate::take_moved`]) and
/// read back by a restart. Stored rows would not do, since an event that is amended to an earlier time replaces the row
/// that had raised the watermark.
#[derive(Clone, Debug, Default)]
pub struct LatenessGate {
    allowed_lateness_ms: i64,
    events: Marks,
    metrics: Marks,
}

/// One kind of row.
#[derive(Clone, Debug, Default)]
struct Marks {
    by_colony: BTreeMap<String, Mark>,
    has_moved: bool,
}

/// The two greatest distinct times of one colony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    greatest: TimeMs,
    second: Option<TimeMs>,
}

impl Mark {
    /// Takes in a row on time; says whether that has changed anything.
    fn raise(&mut self, time: TimeMs) -> bool {
        if time > self.greatest {
            *self = Mark { greatest: time, second: Some(self.greatest) };
        } else if time < self.greatest && self.second.is_none_or(|second| time > second) {
            self.second = Some(time);
        } else {
            return false;
        }
        true
    }
}

impl LatenessGate {
    /// A gate that starts from the greatest times of rows already stored: what is known of a store that an earlier
    /// version wrote.
    pub fn new(allowed_lateness_ms: i64, events: Watermarks, metrics: Watermarks) -> LatenessGate {
        let marks = |watermarks: Watermarks| {
            let reached = |time: TimeMs| Mark { greatest: time, second: Some(time) };
            let by_colony: BTreeMap<_, _> =
                watermarks.into_iter().map(|(colony_id, time)| (colony_id, reached(time))).collect();
            // committed with the first tick: from then on the committed state alone counts
            Marks { has_moved: !by_colony.is_empty(), by_colony }
        };
        LatenessGate { allowed_lateness_ms, events: marks(events), metrics: marks(metrics) }
    }

    /// The same gate with the state that was committed under [`GATE_NAME`], which is then all that it knows: a store
    /// without transactions may hold rows of a commit that was cut off. A state that cannot be read changes nothing.
    pub fn resume(mut self, committed: &Positions) -> LatenessGate {
        for (part, marks) in [("events", &mut self.events), ("metrics", &mut self.metrics)] {
            match committed.0.get(part) {
                Some(text) => marks.read(text),
                None => *marks = Marks::default(),
            }
        }
        self
    }

    /// The state to commit with the rows judged since the last call; empty when nothing has moved.
    pub fn take_moved(&mut self) -> Positions {
        let mut moved = Positions::default();
        for (part, marks) in [("events", &mut self.events), ("metrics", &mut self.metrics)] {
            if std::mem::take(&mut marks.has_moved) {
                moved.0.insert(part.to_owned(), marks.text());
            }
        }
        moved
    }

    /// The greatest times of events and of metric rows that were on time, over all colonies.
    pub fn greatest(&self) -> (Option<TimeMs>, Option<TimeMs>) {
        let greatest = |marks: &Marks| marks.by_colony.values().map(|mark| mark.greatest).max();
        (greatest(&self.events), greatest(&self.metrics))
    }

    /// Moves late rows out of `rows` and returns them; advances the watermarks by what stays.
    /// Rows of finite sources are never late (`is_finite`), and still advance the watermarks.
    ///
    /// Repeats of a late row are late again; topology and status rows are never late.
    pub fn split_late(&mut self, rows: &mut Rows, is_finite: bool) -> Rows {
        let mut late = Rows::default();
        if !is_finite {
            let allowed_ms = self.allowed_lateness_ms;
            late.events = self.events.take_late(&mut rows.events, allowed_ms, |row| row.timestamp);
            late.metrics = self.metrics.take_late(&mut rows.metrics, allowed_ms, bucket_end);
        }
        self.events.raise(&rows.events, |row| row.timestamp);
        self.metrics.raise(&rows.metrics, |row| row.timestamp);
        late
    }
}

/// A row that belongs to a colony.
trait OfColony {
    fn colony_id(&self) -> &str;
}

impl OfColony for Event {
    fn colony_id(&self) -> &str {
        &self.colony_id
    }
}

impl OfColony for MetricPoint {
    fn colony_id(&self) -> &str {
        &self.series.colony_id
    }
}

/// Rows by colony as they stand: those of one colony mostly come together, and its mark is looked up once for them.
fn by_colony<R: OfColony>(rows: &[R]) -> impl Iterator<Item = (&str, &[R])> {
    rows.chunk_by(|one, next| one.colony_id() == next.colony_id()).map(|rows| (rows[0].colony_id(), rows))
}

impl Marks {
    /// Moves the late ones out of `rows`.
    fn take_late<R: OfColony>(&self, rows: &mut Vec<R>, allowed_ms: i64, time: impl Fn(&R) -> TimeMs) -> Vec<R> {
        let earliest = |colony_id: &str| self.by_colony.get(colony_id)?.second.map(|second| second - allowed_ms);
        let is_late = |row: &R, earliest: Option<TimeMs>| earliest.is_some_and(|earliest| time(row) < earliest);
        let any_late = by_colony(rows).any(|(colony_id, rows)| {
            let earliest = earliest(colony_id);
            rows.iter().any(|row| is_late(row, earliest))
        });
        // nearly always; then no row is moved
        if !any_late {
            return Vec::new();
        }
        let (late, on_time) = std::mem::take(rows).into_iter().partition(|row| is_late(row, earliest(row.colony_id())));
        *rows = on_time;
        late
    }

    fn raise<R: OfColony>(&mut self, rows: &[R], time: impl Fn(&R) -> TimeMs) {
        for (colony_id, rows) in by_colony(rows) {
            let mut times = rows.iter().map(&time);
            let mark = match self.by_colony.get_mut(colony_id) {
                Some(mark) => mark,
                None => {
                    let Some(greatest) = times.next() else { continue };
                    self.has_moved = true;
                    self.by_colony.entry(colony_id.to_owned()).or_insert(Mark { greatest, second: None })
                }
            };
            self.has_moved |= times.map(|time| mark.raise(time)).fold(false, |any, moved| any | moved);
        }
    }

    /// `{"colony": [greatest, second]}`, in milliseconds since 1970.
    fn text(&self) -> String {
        let times =
            |mark: &Mark| Value::from_iter([Some(mark.greatest), mark.second].into_iter().flatten().map(|t| t.0));
        let colonies = self.by_colony.iter().map(|(colony_id, mark)| (colony_id.clone(), times(mark)));
        Value::Object(colonies.collect()).to_string()
    }

    fn read(&mut self, text: &str) {
        let Ok(colonies) = serde_json::from_str::<BTreeMap<String, Vec<i64>>>(text) else { return };
        *self = Marks::default();
        for (colony_id, times) in colonies {
            let Some(greatest) = times.first() else { continue };
            let mark = Mark { greatest: TimeMs(*greatest), second: times.get(1).map(|time| TimeMs(*time)) };
            self.by_colony.insert(colony_id, mark);
        }
    }
}

fn bucket_end(row: &MetricPoint) -> TimeMs {
    row.timestamp + i64::from(row.interval_seconds.unwrap_or(0)) * SECOND_MS
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use model::event::Severity;
    use model::metric::SeriesKey;
    use proptest::prelude::*;

    fn event(colony: u8, ms: i64) -> Event {
        Event {
            colony_id: format!("colony-{colony}"),
            event_id: format!("{ms}"),
            version: 0,
            withdrawn: false,
            application_name: String::new(),
            environment: String::new(),
            timestamp: TimeMs(ms),
            event_type: "deploy".to_owned(),
            service_id: "api".to_owned(),
            severity: Severity::Info,
            description: String::new(),
            metadata: BTreeMap::new(),
        }
    }

    fn bucket(ms: i64, interval_seconds: u32) -> MetricPoint {
        let series = SeriesKey { colony_id: "c".into(), service_id: "s".into(), metric_name: "m".into() };
        MetricPoint {
            series,
            timestamp: TimeMs(ms),
            interval_seconds: Some(interval_seconds),
            version: 0,
            count: None,
            mean: Some(1.0.into()),
            p50: None,
            p95: None,
            p99: None,
            max: None,
            application_name: String::new(),
            environment: String::new(),
        }
    }

    fn events(rows: &[(u8, i64)]) -> Rows {
        Rows { events: rows.iter().map(|(colony, ms)| event(*colony, *ms)).collect(), ..Rows::default() }
    }

    fn times(rows: &Rows) -> Vec<i64> {
        rows.events.iter().map(|row| row.timestamp.0).collect()
    }

    #[test]
    fn rows_behind_the_watermark_before_the_batch_are_late() {
        let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
        let mut first = events(&[(1, 1_000), (1, 5), (1, 1_001)]);
        assert!(gate.split_late(&mut first, false).is_empty(), "nothing is late before there is a watermark");
        let mut second = events(&[(1, 5_000), (1, 900), (1, 899), (2, 5)]);
        let late = gate.split_late(&mut second, false);
        assert_eq!(
            (times(&second), times(&late)),
            (vec![5_000, 900, 5], vec![899]),
            "the edge is on time; each colony by itself"
        );
        let mut again = events(&[(1, 899)]);
        assert_eq!(gate.split_late(&mut again, false).len(), 1, "a repeat of a late row is late again");
    }

    #[test]
    fn finite_rows_are_never_late_and_move_the_watermark() {
        let mut gate = LatenessGate::new(100, [("colony-1".to_owned(), TimeMs(1_000))].into(), Watermarks::new());
        let mut old = events(&[(1, 5), (1, 9_000)]);
        assert!(gate.split_late(&mut old, true).is_empty());
        let mut live = events(&[(1, 899), (1, 900)]);
        assert_eq!(gate.split_late(&mut live, false).len(), 1, "the second greatest time is 1000");
    }

    #[test]
    fn late_rows_do_not_move_the_watermark() {
        let mut gate = LatenessGate::new(0, [("colony-1".to_owned(), TimeMs(1_000))].into(), Watermarks::new());
        gate.split_late(&mut events(&[(1, 10)]), false);
        assert!(gate.split_late(&mut events(&[(1, 1_000)]), false).is_empty());
    }

    #[test]
    fn one_row_from_the_future_makes_no_other_row_late() {
        let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
        gate.split_late(&mut events(&[(1, 1_000), (1, 2_000), (1, 86_400_000), (1, 86_400_000)]), false);
        let mut next = events(&[(1, 1_900), (1, 1_899)]);
        assert_eq!(times(&gate.split_late(&mut next, false)), vec![1_899]);
        gate.split_late(&mut events(&[(1, 86_400_001)]), false);
        assert_eq!(
            gate.split_late(&mut events(&[(1, 2_100)]), false).len(),
            1,
            "a second one says that time has moved"
        );
    }

    #[test]
    fn a_restart_resumes_where_the_gate_was_and_not_where_the_rows_are() {
        let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
        gate.split_late(&mut events(&[(1, 1_000), (1, 2_000), (2, 7)]), false);
        let mut committed = gate.take_moved();
        gate.split_late(&mut Rows { metrics: vec![bucket(60_000, 60)], ..Rows::default() }, false);
        committed.advance(gate.take_moved());
        assert_eq!(gate.take_moved(), Positions::default());
        // the stored rows say less: the event at 2000 has been amended to 500 in the meantime
        let stored = [("colony-1".to_owned(), TimeMs(500)), ("colony-3".to_owned(), TimeMs(9))].into();
        let mut resumed = LatenessGate::new(100, stored, Watermarks::new()).resume(&committed);
        assert_eq!(resumed.greatest(), (Some(TimeMs(2_000)), Some(TimeMs(60_000))));
        let rows = [(1, 900), (1, 899), (2, 1)];
        let late = |gate: &mut LatenessGate| times(&gate.split_late(&mut events(&rows), false));
        assert_eq!(late(&mut resumed), vec![899]);
        assert_eq!(late(&mut gate), vec![899], "as without a restart");
    }

    #[test]
    fn a_colony_that_only_a_cut_off_commit_has_brought_is_not_known() {
        let mut gate = LatenessGate::new(100, Watermarks::new(), Watermarks::new());
        gate.split_late(&mut events(&[(1, 1_000), (1, 2_000)]), false);
        let committed = gate.take_moved();
        let stored = [("colony-1".to_owned(), TimeMs(2_000)), ("colony-2".to_owned(), TimeMs(9_000))].into();
        let metrics = [("colony-2".to_owned(), TimeMs(9_000))].into();
        let mut resumed = LatenessGate::new(100, stored, metrics).resume(&committed);
        assert_eq!(resumed.greatest(), (Some(TimeMs(2_000)), None));
        assert_eq!(resumed.take_moved(), Positions::default());
    }

    #[test]
    fn an_open_long_bucket_is_not_late_beside_short_ones() {
        let hour_ms = 3_600_000;
        let mut gate = LatenessGate::new(0, Watermarks::new(), [("c".to_owned(), TimeMs(2 * hour_ms - 60_000))].into());
        let mut rows = Rows { metrics: vec![bucket(hour_ms, 3_600), bucket(hour_ms, 60)], ..Rows::default() };
        let late = gate.split_late(&mut rows, false);
        assert_eq!((rows.metrics, late.metrics), (vec![bucket(hour_ms, 3_600)], vec![bucket(hour_ms, 60)]));
    }

    proptest! {
        /// Shuffling the rows inside batches changes no verdict.
        #[test]
        fn the_order_inside_a_batch_changes_no_verdict(
            batches in prop::collection::vec(prop::collection::vec((0u8..3, 0i64..10_000), 0..12), 0..8)
                .prop_flat_map(|batches| {
                    let shuffled: Vec<_> = batches.iter().map(|batch| Just(batch.clone()).prop_shuffle()).collect();
                    (Just(batches), shuffled)
                }),
            allowed_ms in 0i64..3_000,
        ) {
            let (ordered, shuffled) = batches;
            let run = |batches: &[Vec<(u8, i64)>]| {
                let mut gate = LatenessGate::new(allowed_ms, Watermarks::new(), Watermarks::new());
                let mut verdicts = Vec::new();
                for batch in batches {
                    let mut rows = events(batch);
                    let mut late = gate.split_late(&mut rows, false);
                    prop_assert_eq!(rows.len() + late.len(), batch.len());
                    rows.events.sort();
                    late.events.sort();
                    verdicts.push((rows.events, late.events));
                }
                Ok(verdicts)
            };
            prop_assert_eq!(run(&ordered)?, run(&shuffled)?);
        }
    }
}
