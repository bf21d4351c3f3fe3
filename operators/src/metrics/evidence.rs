//! Evidence of a relation over windows that do not overlap: an e-value that grows from day to day.
//!
//! In one window Fisher's z of the coefficient is normal with variance `1 / v`, `v` = effective points less 3, and mean 0
//! under chance. Windows that do not overlap are independent, so `S = sum v z` is a martingale in time with variance
//! `V = sum v`, and Robbins' normal mixture (1970) of the likelihood ratios of all true values of z,
//!
//! ```text
//! E = (1 + V)^(-1/2) exp(S^2 / (2 (1 + V)))
//! ```
//!
//! is an e-value (Howard, Ramdas, McAuliffe and Sekhon 2021): evidence is multiplied from day to day, and only a relation of
//! one sign gains. Over closed windows alone it is one at all looks together: the chance that it ever reaches `1 / p` is at
//! most `p`. The present window moves with now, so that the looks of one day overlap: with it, E is an e-value at each look
//! by itself, and the greatest over many looks has no bound. The mean of two such e-values is used, one of the levels in
//! windows where neither side drifts, one of the differences in all windows, and the mean over all lags that are looked at,
//! of which the published lag is one: a mean of e-values is an e-value for any dependence between them (Vovk and Wang 2021).
//!
//! Fisher's z is normal as long as it is not great for its number of points: of four independent points every coefficient
//! is as likely as any other, and its z has no bound. Series that are smooth apart from a few jumps (a counter that starts
//! over) reach 0.99 wherever two jumps meet. So a coefficient counts as 0.9 at most (`COUNTS_MAX`). z is symmetric under
//! chance, and `exp(t z)` has a smaller mean the narrower the bound, so E is an e-value as before.

use super::row::{LagWindow, Worth};
use libm::{atanh, exp, log, tanh};

/// Beyond this |r| Fisher's z is not finite in practice.
const R_MAX: f64 = 1.0 - 1e-15;
/// A coefficient beyond this counts as this much evidence.
const COUNTS_MAX: f64 = 0.9;
/// Standard errors by which |r| may lie below a bound before a window contradicts it.
const CONTRADICTS: f64 = 3.0;

/// Fisher's z.
fn fisher(r: f64) -> f64 {
    atanh(r.clamp(-R_MAX, R_MAX))
}

/// Fisher's z as far as it counts as evidence.
fn counted(r: f64) -> f64 {
    fisher(r.clamp(-COUNTS_MAX, COUNTS_MAX))
}

/// What windows of one kind say together.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Of z as far as it counts, and of all of it.
    counted: f64,
    weighted: f64,
    precision: f64,
}

impl Sums {
    fn add(&mut self, worth: &Worth) {
        let precision = worth.effective_points.0 - 3.0;
        self.counted += precision * counted(worth.coefficient.0);
        self.weighted += precision * fisher(worth.coefficient.0);
        self.precision += precision;
    }

    fn log_e(self) -> f64 {
        log_mixture(self.counted, self.precision)
    }
}

/// `ln E` of a sum and its variance.
fn log_mixture(weighted: f64, precision: f64) -> f64 {
    (weighted * weighted / (1.0 + precision) - log(1.0 + precision)) / 2.0
}

/// The evidence of a relation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Logarithm of the e-value.
    pub log_e: f64,
    /// The coefficient over all windows, of the kind with more evidence.
    pub coefficient: f64,
    /// Independent points in all windows, of that kind.
    pub effective_points: f64,
    /// Windows that were looked at.
    pub windows: usize,
}

impl Evidence {
    /// The evidence of windows at one of `lags` lags.
    ///
    /// ```
    /// use coral_operators::metrics::evidence::Evidence;
    /// use coral_operators::metrics::row::{LagWindow, Worth};
    /// use model::real::Real;
    /// let worth = Worth { coefficient: Real(0.8), effective_points: Real(14.0) };
    /// let (level, differences) = (worth, Worth { coefficient: Real(0.0), effective_points: Real(3.0) });
    /// let day = LagWindow {
    ///     lag_ms: 0, peak: None, coefficient: Real(0.8), points: 1440, level, differences, drifts: false, explained: None,
    /// };
    /// let of = |days: usize| Evidence::of(&vec![&day; days], 481);
    /// assert!(of(1).log_e < 0.0 && of(3).log_e > 10.0, "three days of fourteen points say what one does not");
    /// assert_eq!((of(3).effective_points, of(3).windows), (36.0, 3));
    /// ```
    pub fn of(windows: &[&LagWindow], lags: usize) -> Evidence {
        let (mut level, mut differences) = (Sums::default(), Sums::default());
        for window in windows {
            if !window.drifts {
                level.add(&window.level);
            }
            differences.add(&window.differences);
        }
        let (one, other) = (level.log_e(), differences.log_e());
        let (best, greater, less) = if one >= other { (level, one, other) } else { (differences, other, one) };
        let mean = greater + log((1.0 + exp(less - greater)) / 2.0);
        Evidence {
            log_e: mean - log(lags as f64),
            coefficient: if best.precision > 0.0 { tanh(best.weighted / best.precision) } else { 0.0 },
            effective_points: best.precision + 3.0,
            windows: windows.len(),
        }
    }

    /// The e-value as a bound on a p-value: by Markov's inequality at one look, by Ville's at the ends of all closed windows.
    pub fn p_value(&self) -> f64 {
        exp(-self.log_e).min(1.0)
    }
}

/// How many independent points would give this much evidence if the coefficient stays as it is; `None` if no number does.
pub fn points_for(coefficient: f64, lags: usize, log_e: f64) -> Option<f64> {
    /// More points than this are not searched.
    const POINTS_MAX: f64 = 1e7;
    let z = counted(coefficient);
    let has = |precision: f64| log_mixture(precision * z, precision) - log(2.0 * lags as f64) >= log_e;
    if !has(POINTS_MAX) {
        return None;
    }
    // beyond its minimum the evidence grows with the number of points
    let (mut low, mut high) = (0.0, POINTS_MAX);
    while high - low > 0.5 {
        let middle = (low + high) / 2.0;
        if has(middle) { high = middle } else { low = middle }
    }
    Some(high + 3.0)
}

/// Whether a window contradicts that |r| is at least `bound`: it lies below by more than three standard errors of its
/// level.
pub fn contradicts(window: &LagWindow, bound: f64) -> bool {
    let precision = window.level.effective_points.0 - 3.0;
    let missing = fisher(bound) - fisher(window.coefficient.0.abs());
    missing > 0.0 && missing * missing * precision > CONTRADICTS * CONTRADICTS
}
