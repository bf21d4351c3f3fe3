//! A few additions per lag that tell which pairs the quick look would dismiss, so that it is spared for most of them.
//!
//! The quick look is the logarithm of the mean, by prior, of `exp(n KL(k/n || p))` over all windows. A window without more
//! hits than chance counts as 1, so the mean is 1 plus what the windows with hits are above 1. That is a sum over the few
//! windows that hold a lag, and each summand depends only on the width, the hits and the numbers of onsets. A sum just
//! below the limit counts as above it: the quick look decides there, and rounding decides nothing.

use crate::events::windows::{Windows, cell};
use libm::{exp, log, log1p};
use model::time::MINUTE_MS;

/// Fewest sources with a target of a pair that is looked at.
const SOURCES_MIN: usize = 3;

/// By how much, relative to the limit, a sum must be below it.
const ROUNDING: f64 = 1e-9;
/// A little below e: a mean below this is below every limit that the quick look has.
pub const MEAN_MIN: f64 = std::f64::consts::E * (1.0 - ROUNDING);

/// Windows of one width that hold a cell: position of the first, and past the last.
type Range = (u32, u32);

/// For pairs in spans of one length.
pub struct Screen<'a> {
    windows: &'a Windows,
    length_min: f64,
    /// By cell, then by width.
    holding: Vec<Range>,
    /// Hits by window; zero between two pairs.
    hits: Vec<u32>,
    /// Per width: windows before this one already count for the present source.
    reached: Vec<u32>,
    /// By number of sources, then of targets.
    gains: Vec<Vec<Gains>>,
}

/// What windows add, for one number of sources and one of targets: by hits, then by width. NaN before it is needed.
#[derive(Clone, Default)]
struct Gains(Vec<f64>);

impl<'a> Screen<'a> {
    /// For spans of `length_ms`.
    pub fn new(windows: &'a Windows, length_ms: i64) -> Screen<'a> {
        let mut holding = vec![(0, 0); windows.widths.len()];
        for cell in 1..=windows.max_lag_min {
            holding.extend(windows.widths.iter().map(|width| {
                let (first, end) = width.holding(i64::from(cell));
                ((width.first + first) as u32, (width.first + end.max(first)) as u32)
            }));
        }
        let (hits, reached) = (vec![0; windows.all.len()], vec![0; windows.widths.len()]);
        Screen { windows, length_min: length_ms as f64 / MINUTE_MS as f64, holding, hits, reached, gains: Vec::new() }
    }

    /// What the quick look of a pair is the logarithm of, up to rounding, given its lags, ordered by source, then
    /// ascending; 0 where too few sources have a target.
    pub fn mean(&mut self, lags: &[(u32, i64)], (sources, targets): (usize, usize)) -> f64 {
        if lags.len() < SOURCES_MIN || lags.chunk_by(|a, b| a.0 == b.0).count() < SOURCES_MIN {
            return 0.0;
        }
        let widths = self.windows.widths.len();
        let ranges = |lag_ms: i64| (cell(lag_ms) as usize) * widths..(cell(lag_ms) as usize + 1) * widths;
        for of_source in lags.chunk_by(|a, b| a.0 == b.0) {
            if let [(_, lag_ms)] = of_source {
                for &(first, end) in &self.holding[ranges(*lag_ms)] {
                    self.hits[first as usize..end as usize].iter_mut().for_each(|hits| *hits += 1);
                }
                continue;
            }
            self.reached.fill(0);
            for (_, lag_ms) in of_source {
                for (&(first, end), reached) in self.holding[ranges(*lag_ms)].iter().zip(&mut self.reached) {
                    for hits in &mut self.hits[first.max(*reached) as usize..end.max(*reached) as usize] {
                        *hits += 1;
                    }
                    *reached = end.max(*reached);
                }
            }
        }
        let gains = Gains::of(&mut self.gains, sources, targets);
        let mut sum = 1.0;
        for (_, lag_ms) in lags {
            for (width, &(first, end)) in self.holding[ranges(*lag_ms)].iter().enumerate() {
                for hits in &mut self.hits[first as usize..end as usize] {
                    if *hits > 0 {
                        sum += gains.gain(self.windows, width, *hits, (sources, targets), self.length_min);
                        *hits = 0;
                    }
                }
            }
        }
        sum
    }
}

/// Whether a quick look with this mean stays below a limit, whatever was rounded.
pub fn is_below(mean: f64, limit: f64) -> bool {
    mean < exp(limit) * (1.0 - ROUNDING)
}

/// Whether the mean of a pair with so many lags may come up to [`MEAN_MIN`] while its onsets stay the same and its span
/// grows, at most by the factor with this logarithm: a bound that costs nothing.
///
/// With `k` hits `n KL(k/n || p)` grows by at most `k ln(p/p')` as the chance falls from `p` to `p'`, and `p/p'` is at most
/// the factor. No window has more hits than the pair has lags. In a longer span no window adds less, so the mean in the
/// longest tells it exactly.
pub fn may_come_near(mean: f64, lags: usize, log_growth: f64) -> bool {
    is_near(mean * exp(lags as f64 * log_growth))
}

/// Whether a mean comes up to [`MEAN_MIN`], whatever was rounded.
pub fn is_near(mean: f64) -> bool {
    mean >= MEAN_MIN * (1.0 - ROUNDING)
}

impl Gains {
    fn of(all: &mut Vec<Vec<Gains>>, sources: usize, targets: usize) -> &mut Gains {
        if all.len() <= sources {
            all.resize_with(sources + 1, Vec::new);
        }
        let of_sources = &mut all[sources];
        if of_sources.len() <= targets {
            of_sources.resize_with(targets + 1, Gains::default);
        }
        &mut of_sources[targets]
    }

    /// Prior times `exp(n KL(hits/n || p)) - 1` of one window; 0 where there are not more hits than by chance.
    fn gain(
        &mut self,
        windows: &Windows,
        width: usize,
        hits: u32,
        (sources, targets): (usize, usize),
        length_min: f64,
    ) -> f64 {
        let place = hits as usize * windows.widths.len() + width;
        if self.0.len() <= place {
            self.0.resize((hits as usize + 1) * windows.widths.len(), f64::NAN);
        }
        if self.0[place].is_nan() {
            let width = &windows.widths[width];
            let (n, hit) = (sources as f64, f64::from(hits));
            let chance = 1.0 - exp(-f64::from(width.width_min) * (targets as f64 / length_min));
            let missed = n - hit;
            self.0[place] = if hit <= n * chance {
                0.0
            } else {
                let of_missed = if missed > 0.0 { missed * (log(missed / n) - log1p(-chance)) } else { 0.0 };
                width.prior * (exp(hit * (log(hit / n) - log(chance)) + of_missed) - 1.0)
            };
        }
        self.0[place]
    }
}
