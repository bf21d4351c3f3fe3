//! Windows before and after a deployment, and what a metric would have done without it.

use super::ranks::median;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;

/// The window before a deployment begins and ends so long before its start.
pub const BEFORE_MS: (i64, i64) = (60 * MINUTE_MS, 2 * MINUTE_MS);
/// Instances warm up for so long after its end.
pub const WARM_UP_MS: i64 = 3 * MINUTE_MS;
/// Looks after its end.
pub const LOOKS_MIN: [i64; 4] = [5, 15, 30, 60];
/// Earlier days whose same clock time is the seasonal baseline.
pub const SEASON_DAYS: i64 = 7;
/// Fewest of them that make one.
const SEASON_DAYS_MIN: usize = 3;
/// Fewest points of a window that explains something.
const POINTS_MIN: usize = 5;

/// A deployment in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its start.
    pub start: TimeMs,
    /// Its end.
    pub end: TimeMs,
}

/// The values of one series by the start of their bucket.
pub type Series = BTreeMap<TimeMs, f64>;

/// The values of a series around a deployment, in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    /// Before it.
    pub before: Vec<f64>,
    /// After it.
    pub after: Vec<f64>,
}

impl Moment {
    /// The span before it.
    fn before(self) -> std::ops::Range<TimeMs> {
        self.start - BEFORE_MS.0..self.start - BEFORE_MS.1
    }

    /// The span after it, up to `look_min` minutes after its end.
    fn after(self, look_min: i64) -> std::ops::Range<TimeMs> {
        self.end + WARM_UP_MS..self.end + look_min * MINUTE_MS
    }

    /// The same clock time so many days before.
    fn days_before(self, days: i64) -> Moment {
        Moment { start: self.start - days * DAY_MS, end: self.end - days * DAY_MS }
    }

    /// All times that are needed of it and of the days before.
    pub fn spans(self) -> impl Iterator<Item = std::ops::Range<TimeMs>> {
        (0..=SEASON_DAYS).flat_map(move |days| {
            let moment = self.days_before(days);
            [moment.before(), moment.after(LOOKS_MIN[3])]
        })
    }

    /// The last look that is over at `now`, in minutes; `None` before the first.
    pub fn look_min(self, now: TimeMs) -> Option<i64> {
        LOOKS_MIN.into_iter().rev().find(|look| self.end + look * MINUTE_MS <= now)
    }

    /// The windows of a series at a look.
    pub fn windows(self, series: &Series, look_min: i64) -> Windows {
        let values = |span: std::ops::Range<TimeMs>| series.range(span).map(|(_, value)| *value).collect();
        Windows { before: values(self.before()), after: values(self.after(look_min)) }
    }

    /// How much a series usually rises between these clock times: the median over earlier days; `None` if too few are
    /// known. Days on which one of `others` was deployed within the windows do not count.
    pub fn usual_rise(self, series: &Series, look_min: i64, others: &[Moment]) -> Option<f64> {
        let days = (1..=SEASON_DAYS).map(|days| self.days_before(days));
        let quiet = days.filter(|day| !others.iter().any(|other| day.is_disturbed_by(*other)));
        let rises: Vec<f64> = quiet.filter_map(|day| day.windows(series, look_min).rise()).collect();
        (rises.len() >= SEASON_DAYS_MIN).then(|| median(&rises))
    }

    /// Whether the hour after another deployment is within the windows.
    fn is_disturbed_by(self, other: Moment) -> bool {
        let after_ms = LOOKS_MIN[3] * MINUTE_MS;
        other.start < self.end + after_ms && other.end + after_ms > self.start - BEFORE_MS.0
    }
}

impl Windows {
    /// From the median before to the median after; `None` if a window has too few points.
    pub fn rise(&self) -> Option<f64> {
        let has_points = self.before.len() >= POINTS_MIN && self.after.len() >= POINTS_MIN;
        has_points.then(|| median(&self.after) - median(&self.before))
    }

    /// The same without a rise that something else explains.
    pub fn without(mut self, explained: f64) -> Windows {
        self.after.iter_mut().for_each(|value| *value -= explained);
        self
    }
}
