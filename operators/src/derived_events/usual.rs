//! The usual value at a time of day, and how far a value is from it, in the scale of the series.

use super::cells::{Cells, DAY};
use super::robust::{centre_and_spread, median_of_rising, tenths_around};
use std::collections::{BTreeMap, VecDeque};

/// Days before, of which the usual value is learnt.
pub const DAYS: i64 = 7;
/// Fewest of them with a value.
pub const DAYS_MIN: usize = 3;
/// Cells before and after the same clock time.
pub const NEAR: i64 = 3;
/// Fewest values.
pub const VALUES_MIN: usize = 9;
/// One scale is at least this part of the usual value.
pub const RELATIVE_FLOOR: f64 = 0.1;
/// Cells before, whose distances from usual widen the scale, and fewest of them.
pub const RECENT: (i64, usize) = (DAY, 12);
/// Nine tenths of a normal distribution are within so many standard deviations.
const NINE_TENTHS: f64 = 1.645;

/// A value beside what is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beside {
    /// The usual value.
    pub usual: f64,
    /// The value less that.
    pub distance: f64,
    /// The median of the distances of the day before; 0 if too few are known.
    pub lately: f64,
    /// What distances are measured in.
    pub scale: f64,
}

/// Median and spread at the same clock time on the days before; `None` if too little of it is known.
pub fn usual(cells: &Cells, cell: i64) -> Option<(f64, f64)> {
    let (mut values, mut days) = (Vec::with_capacity((DAYS * (2 * NEAR + 1)) as usize), 0);
    for day in 1..=DAYS {
        let (before, same) = (values.len(), cell - day * DAY);
        values.extend(cells.range(same - NEAR..same + NEAR + 1).map(|(_, value)| value));
        days += usize::from(values.len() > before);
    }
    if days < DAYS_MIN || values.len() < VALUES_MIN {
        return None;
    }
    centre_and_spread(&mut values)
}

/// The distances of the last day, rising.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    by_time: VecDeque<(i64, f64)>,
    rising: Vec<f64>,
}

impl Recent {
    /// Those of the day before a cell.
    pub fn before(beside: &BTreeMap<i64, Beside>, cell: i64) -> Recent {
        let mut recent = Recent::default();
        beside.range(cell.saturating_sub(RECENT.0)..cell).for_each(|(cell, one)| recent.add(*cell, one.distance));
        recent
    }

    /// Adds one that is later than all others.
    pub fn add(&mut self, cell: i64, distance: f64) {
        self.by_time.push_back((cell, distance));
        self.rising.insert(self.place(distance), distance);
    }

    fn place(&self, distance: f64) -> usize {
        self.rising.partition_point(|known| known.total_cmp(&distance).is_lt())
    }

    fn forget_before(&mut self, cell: i64) {
        while let Some((_, distance)) = self.by_time.pop_front_if(|(at, _)| *at < cell) {
            self.rising.remove(self.place(distance));
        }
    }

    /// The value of a cell beside what is usual.
    pub fn beside(&mut self, cells: &Cells, (cell, value): (i64, f64), floor: f64) -> Option<Beside> {
        let (usual, spread) = usual(cells, cell)?;
        self.forget_before(cell - RECENT.0);
        let mut beside = Beside {
            usual,
            distance: value - usual,
            lately: 0.0,
            scale: spread.max(RELATIVE_FLOOR * usual.abs()).max(floor),
        };
        if self.rising.len() >= RECENT.1 {
            beside.lately = median_of_rising(&self.rising);
            let nine_tenths = tenths_around(&self.rising, beside.lately, 9);
            beside.scale = beside.scale.max(nine_tenths / NINE_TENTHS);
        }
        Some(beside)
    }
}
