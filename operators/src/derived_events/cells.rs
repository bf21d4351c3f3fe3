//! Cells: the samples of a series in cells of five minutes, with one number each.

use super::robust::median;
use crate::counts::Counts;
use crate::metrics::block::Sample;
use model::real::Real;
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::collections::BTreeMap;
use std::ops::Range;

/// Length of a cell.
pub const CELL_MS: i64 = 5 * MINUTE_MS;
/// Cells of an hour.
pub const HOUR: i64 = 12;
/// Cells of a day.
pub const DAY: i64 = DAY_MS / CELL_MS;

/// The samples of one series, and of those that no longer change the value of their cell.
#[derive(Debug, Default)]
pub struct Cells {
    samples: BTreeMap<i64, Counts<(TimeMs, Real)>>,
    /// The median of each cell, by day; NaN where there is none.
    values: BTreeMap<i64, Box<[f64]>>,
    /// Cells before this keep their value.
    closed_before: Option<i64>,
}

/// The cell of a time, counted from 1970.
pub fn cell_of(at: TimeMs) -> i64 {
    at.0.div_euclid(CELL_MS)
}

/// The start of a cell.
pub fn start_of(cell: i64) -> TimeMs {
    TimeMs(cell * CELL_MS)
}

impl Cells {
    /// Adds a sample or takes it out. Returns the cell, unless that is closed.
    pub fn change(&mut self, sample: Sample, diff: i64) -> Option<i64> {
        let cell = cell_of(sample.at);
        if self.closed_before.is_some_and(|before| cell < before) {
            return None;
        }
        let samples = self.samples.entry(cell).or_default();
        samples.change((sample.at, sample.value), diff);
        let present = samples.iter().filter(|(_, count)| *count > 0).map(|((_, value), _)| value.0);
        let value = median(&mut present.collect::<Vec<f64>>());
        let day = self.values.entry(cell.div_euclid(DAY));
        let day = day.or_insert_with(|| vec![f64::NAN; DAY as usize].into_boxed_slice());
        day[cell.rem_euclid(DAY) as usize] = value.unwrap_or(f64::NAN);
        if samples.is_empty() {
            self.samples.remove(&cell);
        }
        Some(cell)
    }

    /// The median of a cell.
    pub fn value(&self, cell: i64) -> Option<f64> {
        self.range(cell..cell + 1).next().map(|(_, value)| value)
    }

    /// Cells with a value, in order; none where the range ends before it starts.
    pub fn range(&self, cells: Range<i64>) -> impl Iterator<Item = (i64, f64)> {
        let cells = cells.start..cells.end.max(cells.start);
        let days = cells.start.div_euclid(DAY)..=(cells.end - 1).max(cells.start).div_euclid(DAY);
        self.values.range(days).flat_map(move |(day, values)| {
            let first = day * DAY;
            let place = |cell: i64| (cell.max(first) - first).min(DAY) as usize;
            let (from, to) = (place(cells.start), place(cells.end));
            let known = values[from..to].iter().zip(first + from as i64..);
            known.filter(|(value, _)| !value.is_nan()).map(|(value, cell)| (cell, *value))
        })
    }

    /// First and last cell with a value.
    pub fn ends(&self) -> Option<(i64, i64)> {
        let place = |day: i64, cell: usize| day * DAY + cell as i64;
        let first = self
            .values
            .iter()
            .find_map(|(day, values)| values.iter().position(|value| !value.is_nan()).map(|cell| place(*day, cell)));
        let last =
            self.values.iter().rev().find_map(|(day, values)| {
                values.iter().rposition(|value| !value.is_nan()).map(|cell| place(*day, cell))
            });
        first.zip(last)
    }

    /// Forgets cells before one, and closes those before another.
    pub fn forget_before(&mut self, cell: i64, closed: i64) {
        self.values = self.values.split_off(&cell.div_euclid(DAY));
        if let Some(day) = self.values.get_mut(&cell.div_euclid(DAY)) {
            day[..cell.rem_euclid(DAY) as usize].fill(f64::NAN);
        }
        self.samples = self.samples.split_off(&closed);
        self.closed_before = self.closed_before.max(Some(closed));
    }
}
