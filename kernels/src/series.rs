//! `Series`: one series prepared for comparison with any other: levels, sums of every window, exact values.

use crate::dots::{Word, source_words};
use crate::moments::Moments;
use crate::path::Path;
use crate::quantise::{ENERGY_UNIT, WINDOW_MAX, level_max, quantise, range};
use crate::wide;
use std::fmt;

/// Why values cannot be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The window is empty, longer than the values, or longer than [`WINDOW_MAX`].
    Window {
        /// Slots of the window.
        window: usize,
        /// Slots of the values.
        values: usize,
    },
    /// A value is infinite.
    Infinite {
        /// Its slot, from the oldest.
        slot: usize,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Window { window, values } => write!(
                f,
                "a window of {window} slots over {values} values: give it 1 to {WINDOW_MAX} slots and at least as many values"
            ),
            Refused::Infinite { slot } => write!(f, "the value of slot {slot} is infinite: leave it out as NaN"),
        }
    }
}

impl std::error::Error for Refused {}

/// Properties of a window of levels that do not depend on the other series. One entry per lag, newest window first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    /// Observed slots.
    pub count: Vec<i32>,
    /// Sum of the levels.
    pub sum: Vec<i32>,
    /// Sum of their squares.
    pub squares: Vec<i32>,
    /// At least the sum of the squared distances between values and levels, in squared levels.
    pub energy: Vec<f64>,
    /// Whether all observed values are equal, so that no correlation is defined.
    pub still: Vec<bool>,
}

/// Properties of a window without missing slots. One entry per lag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole {
    /// One over the root of `window × squares − sum²`; NaN where still, 0 where the levels say nothing.
    pub scale: Vec<f64>,
    /// Sine of the greatest angle between values and levels; 1 if the levels give no bound.
    pub sin: Vec<f64>,
    /// Its cosine.
    pub cos: Vec<f64>,
    /// Of the newest window: mean of the values and sum of squares about it; the sum is 0 if it is only rounding.
    pub moments: (f64, f64),
    /// Of the levels over all windows: least sum of squares about the mean, least and greatest mean, greatest energy.
    pub extent: (f64, f64, f64, f64),
    /// Of the levels in the newest window: sum of squares about the mean, and mean.
    pub newest: (f64, f64),
}

/// One series, prepared. All its slices are newest first, so that lag `l` is the window that begins at index `l`.
#[derive(Clone, Debug)]
pub struct Series {
    pub(crate) window: usize,
    /// Whether no value is further from zero than twice the range of all: then what moves by a level is no rounding.
    pub(crate) is_near_zero: bool,
    /// The value of level 0, and the distance of two levels.
    pub(crate) centre: f64,
    pub(crate) step: f64,
    /// 0 where missing.
    pub(crate) values: Vec<f64>,
    /// 1 where observed, 0 where missing.
    pub(crate) mask: Vec<f64>,
    /// Runs of missing slots, as half-open ranges.
    pub(crate) gaps: Vec<(usize, usize)>,
    pub(crate) source: Vec<Word>,
    pub(crate) target: Vec<Word>,
    pub(crate) windows: Windows,
    /// Empty when something is missing.
    pub(crate) whole: Whole,
    pub(crate) prefix: Prefix,
}

/// Running sums over the slots, modulo 2^32: entry `u` is the sum of the slots before `u`.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    pub count: Vec<i32>,
    pub level: Vec<i32>,
    pub square: Vec<i32>,
}

impl Series {
    /// Prepares the values of `window + L` slots, oldest first, NaN where missing, for the lags 0 to L.
    ///
    /// Move the values near zero first if they are far from it; no correlation depends on that, its rounding does.
    ///
    /// # Errors
    /// When the window does not fit or a value is infinite.
    ///
    /// ```
    /// use coral_kernels::{Path, Refused, Series};
    /// let path = Path::chosen().unwrap();
    /// let series = Series::new(path, &[1.0, f64::NAN, 3.0, 2.0, 5.0], 4).unwrap();
    /// assert_eq!((series.window(), series.lag_max(), series.is_complete()), (4, 1, false));
    /// assert_eq!(Series::new(path, &[1.0], 2).err(), Some(Refused::Window { window: 2, values: 1 }));
    /// ```
    pub fn new(path: Path, values: &[f64], window: usize) -> Result<Series, Refused> {
        if window == 0 || window > values.len() || window > WINDOW_MAX {
            return Err(Refused::Window { window, values: values.len() });
        }
        if let Some(slot) = values.iter().position(|v| v.is_infinite()) {
            return Err(Refused::Infinite { slot });
        }
        let newest_first: Vec<f64> = values.iter().rev().copied().collect();
        let lags = values.len() - window + 1;
        let quantised = quantise(&newest_first, level_max(window));
        let levels = quantised.levels;
        let seen = |v: &f64| !v.is_nan();
        let prefix = Prefix {
            count: running(newest_first.iter().map(|v| i32::from(seen(v)))),
            level: running(levels.iter().map(|q| i32::from(*q))),
            square: running(levels.iter().map(|q| i32::from(*q) * i32::from(*q))),
        };
        let over_window = |sums: &[i32]| sums[window..].iter().zip(sums).map(|(b, a)| b.wrapping_sub(*a)).collect();
        let windows = Windows {
            count: over_window(&prefix.count),
            sum: over_window(&prefix.level),
            squares: over_window(&prefix.square),
            energy: energies(&quantised.energies, window),
            still: still(&newest_first, window),
        };
        let gaps = runs(&newest_first);
        let whole = if gaps.is_empty() { Whole::new(path, &newest_first, &windows, window) } else { Whole::default() };
        let mut source: Vec<Word> = levels.windows(2).map(|pair| Word::new(pair[0], pair[1])).collect();
        source.extend(levels.last().map(|last| Word::new(*last, 0)));
        source.resize(source_words(lags, window.div_ceil(2), 2).max(source.len()), Word::default());
        let target = levels[..window].chunks(2).map(|pair| Word::new(pair[0], pair.get(1).copied().unwrap_or(0)));
        let (least, greatest) = range(&newest_first);
        Ok(Series {
            window,
            centre: quantised.centre,
            step: quantised.step,
            is_near_zero: least.abs().max(greatest.abs()) <= 2.0 * (greatest - least),
            target: target.collect(),
            source,
            mask: newest_first.iter().map(|v| if seen(v) { 1.0 } else { 0.0 }).collect(),
            values: newest_first.iter().map(|v| if seen(v) { *v } else { 0.0 }).collect(),
            gaps,
            windows,
            whole,
            prefix,
        })
    }

    /// Slots of a window.
    pub fn window(&self) -> usize {
        self.window
    }

    /// Longest lag in slots.
    pub fn lag_max(&self) -> usize {
        self.values.len() - self.window
    }

    /// Whether no slot is missing.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        let lags = self.windows.count.len();
        let whole = self.whole.scale.len() * 3 * 8;
        let prefix = 3 * 4 * self.prefix.count.len();
        let words = 4 * (self.source.len() + self.target.len());
        16 * self.values.len() + 16 * self.gaps.len() + words + lags * (3 * 4 + 8 + 1) + whole + prefix
    }
}

impl Whole {
    fn new(path: Path, values: &[f64], windows: &Windows, window: usize) -> Whole {
        let moments = wide::with(path, Moments(&values[..window]));
        let mut whole =
            Whole { moments, extent: (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, 0.0), ..Whole::default() };
        for lag in 0..windows.sum.len() {
            let (sum, squares) = (f64::from(windows.sum[lag]), f64::from(windows.squares[lag]));
            let spread = window as f64 * squares - sum * sum;
            let angle = Angle::new(windows.energy[lag], spread / window as f64);
            let scale = if angle.says_nothing() { 0.0 } else { 1.0 / spread.sqrt() };
            whole.scale.push(if windows.still[lag] { f64::NAN } else { scale });
            let (least, mean, about) = (whole.extent, sum / window as f64, spread / window as f64);
            whole.extent = (least.0.min(about), least.1.min(mean), least.2.max(mean), least.3.max(windows.energy[lag]));
            if lag == 0 {
                whole.newest = (about, mean);
            }
            whole.sin.push(angle.sin);
            whole.cos.push(angle.cos);
        }
        whole
    }
}

/// The greatest angle between a vector and another that lies within a distance of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Angle {
    pub sin: f64,
    pub cos: f64,
}

impl Angle {
    /// `energy`: the greatest squared distance; `spread`: the squared length. A right angle if the distance can be as
    /// long as the vector, because then there is no bound.
    #[inline(always)]
    pub fn new(energy: f64, spread: f64) -> Angle {
        let share = if energy < spread { energy / spread } else { 1.0 };
        Angle { sin: share.sqrt(), cos: (1.0 - share).sqrt() }
    }

    #[inline(always)]
    pub fn says_nothing(self) -> bool {
        self.cos == 0.0
    }

    /// Both angles together.
    #[inline(always)]
    pub fn plus(self, other: Angle) -> Angle {
        Angle { sin: self.sin * other.cos + self.cos * other.sin, cos: self.cos * other.cos - self.sin * other.sin }
    }
}

fn running(values: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut sum = 0_i32;
    let sums = values.map(|value| {
        sum = sum.wrapping_add(value);
        sum
    });
    std::iter::once(0).chain(sums.collect::<Vec<_>>()).collect()
}

fn energies(energies: &[u64], window: usize) -> Vec<f64> {
    let mut sum: u64 = energies[..window].iter().sum();
    let mut out = vec![sum as f64 * ENERGY_UNIT];
    for (gone, come) in energies.iter().zip(&energies[window..]) {
        sum = sum + come - gone;
        out.push(sum as f64 * ENERGY_UNIT);
    }
    out
}

/// For every window whether its observed values are all equal.
fn still(values: &[f64], window: usize) -> Vec<bool> {
    let mut out = vec![false; values.len() - window + 1];
    // from the oldest on: the value seen last and its slot, and the first slot beyond the run of equal ones it is part of
    let mut last: Option<(f64, usize)> = None;
    let mut run_end = values.len();
    for slot in (0..values.len()).rev() {
        let value = values[slot];
        if !value.is_nan() {
            if let Some((_, other)) = last.filter(|(before, _)| *before != value) {
                run_end = other;
            }
            last = Some((value, slot));
        }
        if let Some(still) = out.get_mut(slot) {
            *still = run_end >= slot + window;
        }
    }
    out
}

fn runs(values: &[f64]) -> Vec<(usize, usize)> {
    let mut slot = 0;
    let mut out = Vec::new();
    for run in values.chunk_by(|a, b| a.is_nan() == b.is_nan()) {
        if run[0].is_nan() {
            out.push((slot, slot + run.len()));
        }
        slot += run.len();
    }
    out
}
