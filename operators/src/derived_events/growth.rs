//! Memory growth: over six hours, or since a restart, nearly every value is above those before it. Looked at once an hour.

use super::cells::{Cells, DAY, HOUR};
use super::robust::median;
use super::usual::Beside;
use std::collections::BTreeMap;

/// Cells looked at.
pub const CELLS: i64 = 6 * HOUR;
/// Fewest cells from the first to the last value, and fewest values.
pub const LEAST: (i64, usize) = (3 * HOUR - 2, 12);
/// A fall below this part of the value before is a restart.
pub const RESTART: f64 = 0.8;
/// Kendall's tau at which it begins, and below which it ends.
pub const TAU: (f64, f64) = (0.7, 0.4);
/// Fewest rise beyond the usual one, as a part of the median.
pub const RISE: f64 = 0.1;

/// Whether memory grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// The last cell at which it grew as much as it must to begin, since it began; none after a day without.
    on_at: Option<i64>,
    /// The hour that was looked at last.
    hour: Option<i64>,
}

impl Growth {
    /// Looks at the values up to a cell. Returns the cell since which they grow.
    pub fn step(&mut self, cells: &Cells, beside: &BTreeMap<i64, Beside>, cell: i64) -> Option<i64> {
        if self.hour.replace(cell.div_euclid(HOUR)) == Some(cell.div_euclid(HOUR)) {
            return None;
        }
        self.on_at = self.on_at.filter(|at| cell - at <= DAY);
        let mut points: Vec<(i64, f64)> = cells.range(cell + 1 - CELLS..cell + 1).collect();
        let restart = (1..points.len()).rev().find(|place| points[*place].1 < RESTART * points[place - 1].1);
        points.drain(..restart.unwrap_or(0));
        let (first, last) = (points.first()?.0, points.last()?.0);
        if points.len() < LEAST.1 || last - first < LEAST.0 {
            self.on_at = None;
            return None;
        }
        let (tau, slope) = trend(&points);
        // without it the course of the day would be growth
        let Some((usual, usual_now)) = beside.get(&first).zip(beside.get(&last)) else {
            self.on_at = None;
            return None;
        };
        let rise = slope * (last - first) as f64 - (usual_now.usual - usual.usual).max(0.0);
        let middle = median(&mut points.iter().map(|(_, value)| *value).collect::<Vec<f64>>())?;
        let grows = tau >= TAU.0 && rise > 0.0 && rise >= RISE * middle.abs();
        let is_new = grows && self.on_at.is_none();
        self.on_at = if grows { Some(cell) } else { self.on_at.filter(|_| tau >= TAU.1) };
        is_new.then_some(first)
    }
}

/// Kendall's tau against time, and the median slope of all pairs (Theil 1950, Sen 1968), per cell.
pub fn trend(points: &[(i64, f64)]) -> (f64, f64) {
    let (mut rising, mut slopes) = (0_i64, Vec::with_capacity(points.len() * points.len() / 2));
    for (place, (cell, value)) in points.iter().enumerate() {
        for (later, higher) in &points[place + 1..] {
            rising += i64::from(higher > value) - i64::from(higher < value);
            slopes.push((higher - value) / (later - cell) as f64);
        }
    }
    let tau = rising as f64 / slopes.len().max(1) as f64;
    (tau, median(&mut slopes).unwrap_or(0.0))
}
