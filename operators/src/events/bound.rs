//! An upper bound on a pair's e-value from its hits alone, which spares most pairs the exact evaluation.
//!
//! In one window E falls with the chance level and rises with the hits (see `evalue`). The chance level is never below
//! [`chance_floor`], which depends on the width and on counts, not on when targets happened. So
//! `E(n, k, chance_floor)` bounds each window's e-value, and their average the pair's. Floors are rounded down to a grid of
//! sixteenths of an octave, so that few distinct tables are needed.

use crate::events::background::chance_floor;
use crate::events::evalue::LogFactorials;
use crate::events::span::Span;
use crate::events::windows::{HitCounter, Windows};
use libm::{exp, exp2, floor, log2};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Steps of the grid of chance levels per factor of two.
const STEPS_PER_OCTAVE: f64 = 16.0;

/// Greatest bound in a table, as a logarithm.
const LOG_BOUND_MAX: f64 = 600.0;

/// Rounding of sums of a few hundred terms stays far below this.
const ROUNDING: f64 = 1e-9;

/// Upper bounds of one window's e-value by hits, `0..=n`, per width.
pub type BoundRows = Vec<Rc<Vec<f64>>>;

/// Tables of bounds, computed when first needed.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    log_factorials: LogFactorials,
    /// By number of sources and step of the grid.
    tables: BTreeMap<(usize, i64), Rc<Vec<f64>>>,
}

impl Bounds {
    /// The bounds per width for pairs with these counts; `moved` as in [`chance_floor`].
    pub fn rows(
        &mut self,
        windows: &Windows,
        source_count: usize,
        target_count: usize,
        moved: [usize; 2],
        span: Span,
    ) -> BoundRows {
        (0..windows.widths.len())
            .map(|width| {
                let chance = chance_floor(windows, width, source_count, target_count, moved, span);
                self.table(source_count, floor(log2(chance) * STEPS_PER_OCTAVE) as i64)
            })
            .collect()
    }

    fn table(&mut self, source_count: usize, step: i64) -> Rc<Vec<f64>> {
        let log_factorials = &mut self.log_factorials;
        let table = self.tables.entry((source_count, step)).or_insert_with(|| {
            let chance = exp2(step as f64 / STEPS_PER_OCTAVE);
            // capped, so that differences of neighbours stay finite; no threshold is anywhere near
            let bound = |hits| exp(log_factorials.log_e(source_count, hits, chance).min(LOG_BOUND_MAX));
            Rc::new((0..=source_count).map(bound).collect())
        });
        Rc::clone(table)
    }

    /// Forgets the tables; they are needed again only for the same counts.
    pub fn clear(&mut self) {
        self.tables.clear();
    }
}

/// Upper bound of the e-value of a pair with `source_count` eligible sources, given its forward lags: `(position of the
/// source, lag in ms)`, by source and then rising. `hits` is a buffer.
///
/// ```
/// use coral_operators::events::{bound::{Bounds, upper_bound}, span::Span, windows::{HitCounter, Windows}};
/// use model::time::{DAY_MS, TimeMs};
/// let span = Span { origin: TimeMs(0), instant: TimeMs(30 * DAY_MS) };
/// let windows = Windows::new(240);
/// let rows = Bounds::default().rows(&windows, 20, 20, [240, 80], span);
/// let mut hits = HitCounter::new(&windows);
/// // one hit in twenty proves nothing, twenty at the same lag may
/// assert!(upper_bound(&windows, &rows, &[(4, 100_000)], &mut hits) < 1.0);
/// let always: Vec<(u32, i64)> = (0..20).map(|source| (source, 100_000)).collect();
/// assert!(upper_bound(&windows, &rows, &always, &mut hits) > 1e6);
/// ```
pub fn upper_bound(windows: &Windows, rows: &BoundRows, lags: &[(u32, i64)], hits: &mut HitCounter) -> f64 {
    hits.clear();
    // all windows start without a hit, where every width's bound is the same
    let mut sum = rows[0][0];
    let mut present = None;
    for &(source, lag_ms) in lags {
        if present != Some(source) {
            present = Some(source);
            hits.next_source();
        }
        hits.add(windows, lag_ms, |width, count| {
            let row = &rows[width];
            sum += windows.widths[width].prior * (row[count as usize] - row[count as usize - 1]);
        });
    }
    sum * (1.0 + ROUNDING)
}
