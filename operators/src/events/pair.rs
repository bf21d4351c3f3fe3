//! One pair of event types, exactly: the e-value over all windows from both ends, and the best window.

use crate::events::background::{AllSlots, Chance};
use crate::events::ends::Ends;
use crate::events::evidence::{Evidence, log_sum_exp};
use crate::events::lags::PairLags;
use crate::events::windows::{Window, Windows};
use libm::{exp, log};

/// Fewest onsets of either side of an eligible pair.
pub const ONSETS_MIN: usize = 3;

/// Numbers this close to each other count as equal, so that rounding never decides.
const TIE: f64 = 1e-9;

/// What the onsets of a pair say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairResult {
    /// Logarithm of the e-value, averaged over windows by their prior; minus infinity when nothing is above chance.
    pub log_e: f64,
    /// The window with the largest share of the e-value.
    pub window: Window,
    /// Targets expected by chance per source in it.
    pub expected: f64,
    /// Probability of at least one of them.
    pub chance: f64,
}

/// Evaluates an eligible pair from its onsets in a span of `length_ms`.
///
/// Evidence of a window from both ends: the mean if neither stream is clustered, the other end if one is, the smaller if
/// both are.
///
/// ```
/// use coral_operators::events::{ends::Ends, pair::evaluate, span::Span, windows::Windows};
/// use model::time::{DAY_MS, TimeMs};
/// let span = Span { origin: TimeMs(0), instant: TimeMs(30 * DAY_MS) };
/// // every day or two, at no fixed time, followed after 17 minutes
/// let sources: Vec<i64> = (1..20).map(|i| (i * 35 + (i * i % 11) * 2) * 3_600_000).collect();
/// let targets: Vec<i64> = sources.iter().map(|at| at + 17 * 60_000).collect();
/// let ends = |times: &[i64]| Ends::new(times, span, 240);
/// let result = evaluate(&Windows::new(240), &ends(&sources), &ends(&targets), span.length_ms());
/// assert!(result.window.start_min < 17 && result.window.end_min >= 17 && result.log_e > 10.0);
/// ```
pub fn evaluate(windows: &Windows, source: &Ends, target: &Ends, length_ms: i64) -> PairResult {
    let lags = PairLags::count(&source.forward.times, &target.forward.times, windows.max_lag_min);
    let slots = AllSlots::count(windows, &lags);
    let chance = Chance::new(windows, (&source.forward, &target.forward), (&lags, &slots), length_ms);
    let mirrored = Chance::new(windows, (&target.mirrored, &source.mirrored), (&lags, &slots), length_ms);
    let mut by_source = Evidence::new(windows, &source.forward, &lags.by_source);
    let mut by_target = Evidence::new(windows, &target.mirrored, &lags.by_target);
    let clustered = (source.forward.clustered, target.mirrored.clustered);
    let share = |(index, window): (usize, &Window)| {
        // nothing in the window is no evidence at any chance level
        if lags.within(i64::from(window.start_min), i64::from(window.end_min)) == 0 {
            return f64::NEG_INFINITY;
        }
        // an end that does not count is not looked at
        let mut from_source = || by_source.log_e(index, chance.level(index));
        let mut from_target = || by_target.log_e(index, mirrored.level(index));
        let log_e = match clustered {
            (true, true) => from_source().min(from_target()),
            (true, false) => from_target(),
            (false, true) => from_source(),
            (false, false) => log_sum_exp(&[from_source(), from_target()]) - log(2.0),
        };
        log_e + windows.log_prior(*window)
    };
    let shares: Vec<f64> = windows.all.iter().enumerate().map(share).collect();
    // without evidence the window with the largest count relative to chance is shown
    let excess = |(index, window): (usize, &Window)| {
        let count = f64::from(lags.within(i64::from(window.start_min), i64::from(window.end_min)));
        (count + 1.0) / (source.forward.times.len() as f64 * chance.level(index).0 + 1.0)
    };
    let best = first_greatest(&shares).unwrap_or_else(|| {
        first_greatest(&windows.all.iter().enumerate().map(excess).collect::<Vec<f64>>()).unwrap_or(0)
    });
    let (expected, _) = chance.level(best);
    PairResult { log_e: log_sum_exp(&shares), window: windows.all[best], expected, chance: 1.0 - exp(-expected) }
}

/// Position of the first maximum, ignoring rounding; `None` if none is finite.
fn first_greatest(numbers: &[f64]) -> Option<usize> {
    let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    numbers.iter().position(|one| *one >= greatest - TIE).filter(|_| greatest.is_finite())
}
