//! A level with two thresholds: it begins when it has been above the upper one for two cells, and ends when it has been
//! below the lower one for three, or not above the upper one for a day. So where it stands follows from that day alone.

use super::cells::DAY;

/// Cells in a row above the upper threshold.
const CELLS_ON: u32 = 2;
/// Cells in a row below the lower one.
const CELLS_OFF: u32 = 3;
/// A gap of more cells than this ends everything.
const GAP_MAX: i64 = 12;

/// The thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// It begins at or above this.
    pub on: f64,
    /// It ends below this.
    pub off: f64,
}

/// Where a level stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossing {
    last: Option<i64>,
    /// The last cell that was the second or later one above, since it began.
    on_at: Option<i64>,
    /// Where the cells above began, and how many there are.
    above: Option<(i64, u32)>,
    below: u32,
}

impl Crossing {
    /// Takes the level of the next cell. Returns the cell at which it began, once it has.
    ///
    /// ```
    /// use coral_operators::derived_events::crossing::{Crossing, Thresholds};
    /// let thresholds = Thresholds { on: 0.9, off: 0.8 };
    /// let mut crossing = Crossing::default();
    /// let levels = [0.5, 0.95, 0.5, 0.95, 0.97, 0.85, 0.95, 0.95];
    /// let began: Vec<Option<i64>> = (0..).zip(levels).map(|(cell, level)| crossing.step(cell, level, thresholds)).collect();
    /// assert_eq!(began, [None, None, None, None, Some(3), None, None, None]);
    /// ```
    pub fn step(&mut self, cell: i64, level: f64, thresholds: Thresholds) -> Option<i64> {
        if self.last.is_some_and(|last| cell - last > GAP_MAX) {
            *self = Crossing::default();
        }
        self.last = Some(cell);
        self.on_at = self.on_at.filter(|at| cell - at <= DAY);
        self.above = (level >= thresholds.on).then(|| {
            let (since, cells) = self.above.unwrap_or((cell, 0));
            (since, (cells + 1).min(CELLS_ON))
        });
        let above = self.above.filter(|(_, cells)| *cells == CELLS_ON);
        if self.on_at.is_none() {
            self.below = 0;
            self.on_at = above.map(|_| cell);
            return above.map(|(since, _)| since);
        }
        self.below = if level < thresholds.off { self.below + 1 } else { 0 };
        if self.below >= CELLS_OFF {
            self.on_at = None;
        } else if above.is_some() {
            self.on_at = Some(cell);
        }
        None
    }
}
