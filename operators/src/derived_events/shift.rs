//! A level shift: for three hours nearly all values are farther above, or below, usual than those of the day before, and so
//! they are beside the same hours of that day.

use super::cells::{Cells, DAY, HOUR};
use super::robust::median;
use super::usual::Beside;
use std::collections::BTreeMap;

/// Cells before and after.
pub const CELLS: (i64, i64) = (DAY, 3 * HOUR);
/// Fewest values before and after.
const VALUES_MIN: (usize, usize) = (24, 6);
/// Fewest scales between the medians.
pub const SCALES: f64 = 4.0;
/// Cliff's delta at which it begins, and below which it ends.
pub const DELTA: (f64, f64) = (0.9, 0.5);

/// Whether the level has shifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// The last cell at which it was as much of a shift as it must be to begin, since it began; none after a day without.
    on_at: Option<i64>,
}

impl Shift {
    /// Takes the next cell, which is the last one of those after. Returns the cell from which the level is another.
    pub fn step(&mut self, cells: &Cells, beside: &BTreeMap<i64, Beside>, cell: i64) -> Option<i64> {
        self.on_at = self.on_at.filter(|at| cell - at <= DAY);
        let from = cell + 1 - CELLS.1;
        let (last, known) = beside.range(from - CELLS.0..from).next_back()?;
        let mut values: Vec<f64> = beside.range(from..=cell).map(|(_, one)| one.distance).collect();
        if values.len() < VALUES_MIN.1 {
            return None;
        }
        let size = median(&mut values)? - known.lately;
        let is_large = size.abs() >= SCALES * known.scale;
        if self.on_at.is_none() && !is_large {
            return None;
        }
        let mut before: Vec<f64> = beside.range(from - CELLS.0..from).map(|(_, one)| one.distance).collect();
        let first = *beside.range(from - CELLS.0..from).next()?.0;
        // half a day at least, so that a swing of the day is not taken for a shift
        if before.len() < VALUES_MIN.0 || last - first < CELLS.0 / 2 {
            return None;
        }
        before.sort_unstable_by(f64::total_cmp);
        let delta = delta(&before, &values);
        let begins = is_large && delta.abs() >= DELTA.0 && has_moved(cells, (from, cell), size);
        let is_new = begins && self.on_at.is_none();
        self.on_at = if begins { Some(cell) } else { self.on_at.filter(|_| delta.abs() >= DELTA.1) };
        if !is_new {
            return None;
        }
        let is_there = |one: &Beside| (one.distance - known.lately).abs() >= size.abs() / 2.0;
        beside.range(from..=cell).find(|(_, one)| is_there(one)).map(|(cell, _)| *cell)
    }
}

/// Whether the values themselves are elsewhere than a day before, by half of `size`. What is usual follows a new level
/// after some days, and then the distances from it change while the values do not.
fn has_moved(cells: &Cells, (from, to): (i64, i64), size: f64) -> bool {
    let values = |from: i64, to: i64| cells.range(from..to + 1).map(|(_, value)| value).collect::<Vec<f64>>();
    let mut yesterday = values(from - DAY, to - DAY);
    if yesterday.len() < VALUES_MIN.1 {
        return false;
    }
    let moved = median(&mut values(from, to)).zip(median(&mut yesterday)).map_or(0.0, |(now, then)| now - then);
    moved * size.signum() >= size.abs() / 2.0
}

/// Cliff's delta of `after` over `before`, which is sorted.
fn delta(before: &[f64], after: &[f64]) -> f64 {
    let sum: i64 = after
        .iter()
        .map(|value| {
            let below = before.partition_point(|known| known < value);
            let not_above = before.partition_point(|known| known <= value);
            below as i64 - (before.len() - not_above) as i64
        })
        .sum();
    sum as f64 / (before.len() * after.len()) as f64
}
