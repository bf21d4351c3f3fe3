//! The lag windows: widths 2, 4, …, 128 minutes and the longest lag itself, each starting every half width.
//!
//! Lags are counted in cells of a minute: cell `c` holds the lags above `c - 1` and up to `c` minutes. A window `(a, b]` is
//! the cells `a + 1` to `b`. Each width has the same prior weight, shared equally by its windows.

use libm::log;
use model::time::MINUTE_MS;

/// All windows of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Width {
    /// Length of a window.
    pub width_min: u32,
    /// Distance of two starts.
    pub step_min: u32,
    /// Index of the first window of this width.
    pub first: usize,
    /// How many windows there are.
    pub count: usize,
    /// Prior weight of each.
    pub prior: f64,
    /// Its logarithm.
    pub log_prior: f64,
}

/// One window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Exclusive lower bound of its lags.
    pub start_min: u32,
    /// Inclusive upper bound of its lags.
    pub end_min: u32,
    /// Index of its width.
    pub width: usize,
}

impl Window {
    /// Length.
    pub fn width_min(self) -> u32 {
        self.end_min - self.start_min
    }

    /// Start in milliseconds.
    pub fn start_ms(self) -> i64 {
        i64::from(self.start_min) * MINUTE_MS
    }

    /// End in milliseconds.
    pub fn end_ms(self) -> i64 {
        i64::from(self.end_min) * MINUTE_MS
    }
}

/// The windows for one longest lag.
///
/// ```
/// use coral_operators::events::windows::Windows;
/// let windows = Windows::new(240);
/// assert_eq!(windows.all.len(), 469);
/// let total: f64 = windows.all.iter().map(|window| windows.widths[window.width].prior).sum();
/// assert!((total - 1.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Longest lag.
    pub max_lag_min: u32,
    /// By width, rising.
    pub widths: Vec<Width>,
    /// By width, then by start.
    pub all: Vec<Window>,
}

impl Windows {
    /// The windows within `(0, max_lag_min]`.
    pub fn new(max_lag_min: u32) -> Windows {
        let lengths: Vec<u32> =
            (1..=7).map(|power| 1 << power).filter(|width| *width < max_lag_min).chain([max_lag_min]).collect();
        let mut widths = Vec::with_capacity(lengths.len());
        let mut all = Vec::new();
        for (index, &width_min) in lengths.iter().enumerate() {
            let step_min = (width_min / 2).max(1);
            let starts = (0..=max_lag_min - width_min).step_by(step_min as usize);
            let first = all.len();
            all.extend(starts.map(|start_min| Window { start_min, end_min: start_min + width_min, width: index }));
            let count = all.len() - first;
            let prior = 1.0 / (lengths.len() * count) as f64;
            widths.push(Width { width_min, step_min, first, count, prior, log_prior: log(prior) });
        }
        Windows { max_lag_min, widths, all }
    }

    /// Longest lag in milliseconds.
    pub fn max_lag_ms(&self) -> i64 {
        i64::from(self.max_lag_min) * MINUTE_MS
    }

    /// Positions of windows among which are all that hold any of the cells `low..=high`, which are greater than zero.
    pub fn around(&self, low: u32, high: u32) -> impl Iterator<Item = usize> {
        self.widths.iter().flat_map(move |width| {
            let (first, end) = (width.holding(i64::from(low)).0, width.holding(i64::from(high)).1);
            width.first + first..width.first + end
        })
    }

    /// Logarithm of the prior weight of a window.
    pub fn log_prior(&self, window: Window) -> f64 {
        self.widths[window.width].log_prior
    }
}

/// The cell of a lag: whole minutes, rounded up.
///
/// ```
/// use coral_operators::events::windows::cell;
/// assert_eq!([cell(-60_001), cell(-60_000), cell(-1), cell(0), cell(1), cell(60_000)], [-1, -1, 0, 0, 1, 1]);
/// ```
pub fn cell(lag_ms: i64) -> i64 {
    -(-lag_ms).div_euclid(MINUTE_MS)
}

impl Width {
    /// Positions (counted within this width) of the windows that hold `cell > 0`; empty when the first exceeds the last.
    pub(crate) fn holding(&self, cell: i64) -> (usize, usize) {
        let (width, step) = (i64::from(self.width_min), i64::from(self.step_min));
        // cell - width <= start <= cell - 1
        let low = if cell <= width { 0 } else { (cell - width + step - 1) / step };
        let high = ((cell - 1) / step).min(self.count as i64 - 1);
        (low as usize, (high + 1) as usize)
    }
}

/// Counts, per window, the sources with at least one target inside it.
#[derive(Clone, Debug)]
pub struct HitCounter {
    /// Sources that hit, per window.
    pub counts: Vec<u32>,
    /// Per width: windows before this position already count for the present source.
    reached: Vec<usize>,
}

impl HitCounter {
    /// All zero.
    pub fn new(windows: &Windows) -> HitCounter {
        HitCounter { counts: vec![0; windows.all.len()], reached: vec![0; windows.widths.len()] }
    }

    /// Back to zero.
    pub fn clear(&mut self) {
        self.counts.fill(0);
    }

    /// Begins with the lags of another source.
    pub fn next_source(&mut self) {
        self.reached.fill(0);
    }

    /// A target of the current source in this cell, greater than zero; cells must be in ascending order.
    pub fn add(&mut self, windows: &Windows, cell: i64) {
        for (index, width) in windows.widths.iter().enumerate() {
            let (low, end) = width.holding(cell);
            for position in low.max(self.reached[index])..end {
                self.counts[width.first + position] += 1;
            }
            self.reached[index] = self.reached[index].max(end);
        }
    }
}
