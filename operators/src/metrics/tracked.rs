//! The lags at which a pair is followed through all instants.
//!
//! The best lag of a window moves a little from day to day. Evidence is added up at one lag, so the peaks of all windows
//! are reduced to as few lags as stand for them.

use super::pair::PairResult;

/// A lag at which a pair is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// In steps, positive or 0 where the first series leads.
    pub lag: i64,
    /// Lags about as good in the window in which it was first seen, in ascending order.
    pub range: (i64, i64),
}

/// Whether a lag of one sign may stand for one of another: lag 0 has no direction of its own and belongs to the first.
fn same_direction(one: i64, other: i64) -> bool {
    (one >= 0) == (other >= 0)
}

/// The lags at which a pair is followed, from its peaks in the order of time, all on one grid.
///
/// ```
/// use coral_operators::metrics::pair::{PairResult, Peak};
/// use coral_operators::metrics::tracked::tracked;
/// let day = |lag, near| PairResult { step_ms: 60_000, peaks: vec![Peak { lag, r: 0.9, points: 1440, range: near, near }] };
/// let days = [day(60, (58, 62)), day(62, (60, 63)), day(80, (78, 82))];
/// let lags: Vec<i64> = tracked(days.iter()).iter().map(|one| one.lag).collect();
/// assert_eq!(lags, [60, 80], "60 stands for 62");
/// ```
pub fn tracked<'a>(results: impl Iterator<Item = &'a PairResult>) -> Vec<Tracked> {
    let mut out: Vec<Tracked> = Vec::new();
    for peak in results.flat_map(|result| &result.peaks) {
        let known = out.iter().any(|one| stands_for(one.lag, peak.lag, peak.near));
        if !known {
            out.push(Tracked { lag: peak.lag, range: peak.range });
        }
    }
    out.sort_by_key(|one| one.lag);
    out
}

/// Whether `lag` stands for a peak at `peak`.
pub fn stands_for(lag: i64, peak: i64, near: (i64, i64)) -> bool {
    same_direction(lag, peak) && (near.0..=near.1).contains(&lag)
}
