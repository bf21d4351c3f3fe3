//! One direction of a pair at an instant, as all windows up to it say together: its lag, its coefficient, its evidence.

use super::evidence::Evidence;
use super::pair::TIE;
use super::params::MetricParams;
use super::row::{Explained, LagWindow, PairRow};
use model::metric::SeriesKey;

/// One direction of a pair at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Relation<'a> {
    /// The pair at this instant.
    pub row: &'a PairRow,
    /// The pair at this instant and at the lag of the relation.
    pub window: &'a LagWindow,
    /// Lags about as good, along the direction, in the latest window whose peak this lag stands for.
    pub lag_range: (i64, i64),
    /// Mean of Pearson's r of the raw values over all windows.
    pub mean: f64,
    /// Evidence of all windows.
    pub evidence: Evidence,
    /// Greatest |r| at this instant at any lag followed in this direction.
    pub strongest: f64,
    /// What else explains it in at least half of the windows in which there is something to explain.
    pub explained: Option<Explained>,
}

impl<'a> Relation<'a> {
    fn is_forward(&self) -> bool {
        self.window.lag_ms >= 0
    }

    /// What comes first.
    pub fn source(&self) -> &'a SeriesKey {
        if self.is_forward() { &self.row.first } else { &self.row.second }
    }

    /// What follows.
    pub fn target(&self) -> &'a SeriesKey {
        if self.is_forward() { &self.row.second } else { &self.row.first }
    }

    /// Application and environment of the source.
    pub fn source_identity(&self) -> &'a (String, String) {
        if self.is_forward() { &self.row.first_identity } else { &self.row.second_identity }
    }

    /// Application and environment of the target.
    pub fn target_identity(&self) -> &'a (String, String) {
        if self.is_forward() { &self.row.second_identity } else { &self.row.first_identity }
    }

    /// From source to target.
    pub fn lag_ms(&self) -> i64 {
        self.window.lag_ms.abs()
    }

    /// Whether this direction is the stronger of the two of its pair.
    pub fn is_stronger_than(&self, other: &Relation<'_>) -> bool {
        let (own, its) = (self.mean.abs(), other.mean.abs());
        if (own - its).abs() > TIE {
            return own > its;
        }
        (self.lag_ms(), !self.is_forward()) < (other.lag_ms(), !other.is_forward())
    }
}

/// Of the instants of a pair, those whose windows are added up at the last of them: it, and going back from it each that
/// ends before the one taken last begins.
fn separate<'a>(history: &[&'a PairRow], window_ms: i64) -> Vec<&'a PairRow> {
    let mut taken: Vec<&PairRow> = Vec::new();
    for row in history.iter().rev() {
        if taken.last().is_none_or(|last| row.at <= last.at - window_ms) {
            taken.push(row);
        }
    }
    taken
}

fn at_lag(row: &PairRow, lag_ms: i64) -> Option<&LagWindow> {
    row.lags.iter().find(|window| window.lag_ms == lag_ms)
}

/// Both directions of a pair at the last of the instants in `history`, which is in the order of time and all on one grid.
/// A lag counts from the first instant on at which |r| had a peak there.
pub fn relations<'a>(history: &[&'a PairRow], params: &MetricParams) -> Vec<Relation<'a>> {
    let Some(&row) = history.last() else { return Vec::new() };
    let separate = separate(history, params.window_ms);
    let lags = 2 * params.lag_slots(row.step_ms) + 1;
    let mut out = Vec::new();
    for forward in [true, false] {
        let known = |window: &&LagWindow| {
            let peaks = |row: &&PairRow| at_lag(row, window.lag_ms).is_some_and(|window| window.peak.is_some());
            (window.lag_ms >= 0) == forward && history.iter().any(peaks)
        };
        let followed: Vec<&LagWindow> = row.lags.iter().filter(known).collect();
        let windows_of =
            |lag_ms: i64| separate.iter().filter_map(|row| at_lag(row, lag_ms)).collect::<Vec<&LagWindow>>();
        let mean_of = |window: &LagWindow| {
            let all = windows_of(window.lag_ms);
            all.iter().map(|one| one.coefficient.0).sum::<f64>() / all.len() as f64
        };
        let means: Vec<(&LagWindow, f64)> = followed.iter().map(|window| (*window, mean_of(window))).collect();
        let Some(greatest) = means.iter().map(|(_, mean)| mean.abs()).reduce(f64::max) else { continue };
        let tied = means.into_iter().filter(|(_, mean)| mean.abs() >= greatest - TIE);
        let Some((window, mean)) = tied.min_by_key(|(window, _)| window.lag_ms.abs()) else { continue };
        let windows = windows_of(window.lag_ms);
        let strongest = followed.iter().map(|window| window.coefficient.0.abs()).fold(0.0, f64::max);
        let peak = |row: &&PairRow| at_lag(row, window.lag_ms).and_then(|window| window.peak);
        let lag_ms = window.lag_ms.abs();
        out.push(Relation {
            row,
            window,
            lag_range: history.iter().rev().find_map(peak).unwrap_or((lag_ms, lag_ms)),
            mean,
            evidence: Evidence::of(&windows, lags),
            strongest,
            explained: explained(&windows, params),
        });
    }
    out
}

/// What else explains most of the windows, the latest first.
fn explained(windows: &[&LagWindow], params: &MetricParams) -> Option<Explained> {
    let strong = || windows.iter().filter(|window| window.coefficient.0.abs() >= params.leave());
    let explained: Vec<Explained> = strong().filter_map(|window| window.explained).collect();
    if 2 * explained.len() >= strong().count() { explained.first().copied() } else { None }
}
