//! The walk along a series: each cell with what is known up to it.

use super::cells::Cells;
use super::crossing::{Crossing, Thresholds};
use super::growth::Growth;
use super::kinds::{Full, Kind, Watched};
use super::shift::Shift;
use super::usual::{Beside, DAYS};
use std::collections::BTreeMap;

/// A spike begins and ends so many scales from usual.
pub const SPIKE: Thresholds = Thresholds { on: 6.0, off: 3.0 };
/// A resource is nearly used up from this share on, and no longer below the second.
pub const NEARLY_FULL: Thresholds = Thresholds { on: 0.9, off: 0.8 };
/// Values up to this are shares, if no others were seen in a week.
pub const SHARE_MAX: f64 = 1.5;
/// A utilisation beyond this has no such bound.
pub const PERCENT_MAX: f64 = 105.0;
/// Days in which the greatest value says what full is.
pub const FULL_DAYS: i64 = DAYS;

/// Where the walk stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    spike: Crossing,
    full: Crossing,
    shift: Shift,
    growth: Growth,
}

/// What began, at which cell.
pub type Began = (Kind, i64);

impl Walk {
    /// Takes the next cell that has a value. `most` is the greatest value of the last week up to here.
    pub fn step(
        &mut self,
        watched: Watched,
        cells: &Cells,
        beside: &BTreeMap<i64, Beside>,
        (cell, value, most): (i64, f64, f64),
    ) -> Vec<Began> {
        let mut began = Vec::new();
        if let (Some(kind), Some(one)) = (watched.spike, beside.get(&cell)) {
            began.extend(self.spike.step(cell, one.distance / one.scale, SPIKE).map(|cell| (kind, cell)));
        }
        let whole = watched.full.and_then(|full| match full {
            Full::Either if most <= SHARE_MAX => Some(1.0),
            _ => (most <= PERCENT_MAX).then_some(100.0),
        });
        if let Some(whole) = whole {
            began.extend(self.full.step(cell, value / whole, NEARLY_FULL).map(|cell| (Kind::Saturation, cell)));
        }
        if beside.contains_key(&cell) {
            began.extend(self.shift.step(cells, beside, cell).map(|cell| (Kind::LevelShift, cell)));
        }
        if watched.is_memory {
            began.extend(self.growth.step(cells, beside, cell).map(|cell| (Kind::MemoryGrowth, cell)));
        }
        began
    }
}
