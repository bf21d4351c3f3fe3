//! Clock: the greatest event time of rows on time; what an evaluation calls now.

use model::rows::Rows;
use model::time::TimeMs;
use operators::dataflow::Evaluate;

/// Rises with the rows, never with the wall clock: results are a function of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClock {
    events: Option<TimeMs>,
    metrics: Option<TimeMs>,
}

impl EventClock {
    /// A clock that already stands at these times.
    pub fn at(events: Option<TimeMs>, metrics: Option<TimeMs>) -> EventClock {
        EventClock { events, metrics }
    }

    /// Takes in rows on time.
    pub fn observe(&mut self, rows: &Rows) {
        self.events = self.events.max(rows.events.iter().map(|row| row.timestamp).max());
        self.metrics = self.metrics.max(rows.metrics.iter().map(|row| row.timestamp).max());
    }

    /// The greatest time of any row; `None` before the first.
    pub fn now(&self) -> Option<TimeMs> {
        self.events.max(self.metrics)
    }

    /// The greatest time of a metric row.
    pub fn metrics_now(&self) -> Option<TimeMs> {
        self.metrics
    }

    /// The order to evaluate at this time; `None` before the first row.
    pub fn evaluate(&self) -> Option<Evaluate> {
        self.now().map(|now| Evaluate { now, metrics_now: self.metrics })
    }
}
