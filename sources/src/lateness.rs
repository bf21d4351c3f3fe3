//! Allowed lateness, decided once, at the source edge: per colony and kind of row, against the watermark before the batch.

use model::rows::Rows;
use model::time::TimeMs;
use std::collections::BTreeMap;

/// The greatest event time seen on time, per colony.
pub type Watermarks = BTreeMap<String, TimeMs>;

/// Splits batches into rows on time and late rows.
///
/// A row is late when it lies more than the allowed lateness behind its colony's watermark *before* the batch, so that
/// neither the size of a batch nor the order inside it changes the verdict.
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
                oldest(&self.events, &row.colony_id, self.allowed_lateness_ms).is_none_or(|limit| row.timestamp >= limit)
            });
            (rows.events, late.events) = (on_time, behind);
            let (on_time, behind): (Vec<_>, Vec<_>) = std::mem::take(&mut rows.metrics).into_iter().partition(|row| {
                oldest(&self.metrics, &row.series.colony_id, self.allowed_lateness_ms)
                    .is_none_or(|limit| row.timestamp >= limit)
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

fn raise(marks: &mut Watermarks, colony_id: &str, timestamp: TimeMs) {
    match marks.get_mut(colony_id) {
        Some(mark) => *mark = (*mark).max(timestamp),
        None => {
            marks.insert(colony_id.to_owned(), timestamp);
        }
    }
}
