//! Allowed lateness, decided once, at the source edge: per colony and kind of row, against the watermark before the batch.

use model::metric::MetricPoint;
use model::rows::Rows;
use model::time::{SECOND_MS, TimeMs};
use std::collections::BTreeMap;

/// The greatest event time seen on time, per colony.
pub type Watermarks = BTreeMap<String, TimeMs>;

/// Splits batches into rows on time and late rows.
///
/// A row is late when it lies more than the allowed lateness behind its colony's watermark *before* the batch, so that
/// the order inside a batch does not change the verdict. A metric bucket lies where it ends: an hourly bucket that is
/// still open is not late because the minute buckets beside it have moved on.
#[derive(Clone, Debug, Default)]
pub struct LatenessGate {
    allowed_lateness_ms: i64,
    events: Watermarks,
    metrics: Watermarks,
}

impl LatenessGate {
    /// A gate that starts from the watermarks of rows already stored.
    pub fn new(allowed_lateness_ms: i64, events: Watermarks, metrics: Watermarks) -> LatenessGate {
        LatenessGate { allowed_lateness_ms, events, metrics }
    }

    /// Moves late rows out of `rows` and returns them; advances the watermarks by what stays.
    /// Rows of finite sources are never late (`is_finite`), and still advance the watermarks.
    ///
    /// Repeats of a late row are late again; topology and status rows are never late.
    pub fn split_late(&mut self, rows: &mut Rows, is_finite: bool) -> Rows {
        let mut late = Rows::default();
        if !is_finite {
            let oldest = |marks: &Watermarks, colony: &str, ms: i64| marks.get(colony).map(|mark| *mark - ms);
            let (on_time, behind): (Vec<_>, Vec<_>) = std::mem::take(&mut rows.events).into_iter().partition(|row| {
                oldest(&self.events, &row.colony_id, self.allowed_lateness_ms)
                    .is_none_or(|limit| row.timestamp >= limit)
            });
            (rows.events, late.events) = (on_time, behind);
            let (on_time, behind): (Vec<_>, Vec<_>) = std::mem::take(&mut rows.metrics).into_iter().partition(|row| {
                oldest(&self.metrics, &row.series.colony_id, self.allowed_lateness_ms)
                    .is_none_or(|limit| bucket_end(row) >= limit)
            });
            (rows.metrics, late.metrics) = (on_time, behind);
        }
        for row in &rows.events {
            raise(&mut self.events, &row.colony_id, row.timestamp);
        }
        for row in &rows.metrics {
            raise(&mut self.metrics, &row.series.colony_id, row.timestamp);
        }
        late
    }
}

fn bucket_end(row: &MetricPoint) -> TimeMs {
    row.timestamp + i64::from(row.interval_seconds.unwrap_or(0)) * SECOND_MS
}

fn raise(marks: &mut Watermarks, colony_id: &str, timestamp: TimeMs) {
    match marks.get_mut(colony_id) {
        Some(mark) => *mark = (*mark).max(timestamp),
        None => {
            marks.insert(colony_id.to_owned(), timestamp);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use model::event::{Event, Severity};
    use model::metric::SeriesKey;
    use proptest::prelude::*;

    fn event(colony: u8, ms: i64) -> Event {
        Event {
            colony_id: format!("colony-{colony}"),
            event_id: format!("{ms}"),
            version: 0,
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
        let mut first = events(&[(1, 1_000), (1, 5)]);
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
        let mut live = events(&[(1, 8_000)]);
        assert_eq!(gate.split_late(&mut live, false).len(), 1);
    }

    #[test]
    fn late_rows_do_not_move_the_watermark() {
        let mut gate = LatenessGate::new(0, [("colony-1".to_owned(), TimeMs(1_000))].into(), Watermarks::new());
        gate.split_late(&mut events(&[(1, 10)]), false);
        assert!(gate.split_late(&mut events(&[(1, 1_000)]), false).is_empty());
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
