//! A fast pre-check of a pair against the flat rate only, which avoids the full evaluation of most pairs.
//!
//! Per window `n KL(k/n || p)` bounds the logarithm of the likelihood ratio of any hit probability against `p`, the flat
//! rate's, and no chance level is below the flat rate's. A pair whose bounds, averaged over windows, stay below e has no evidence by
//! definition.

use crate::events::evidence::log_sum_exp;
use crate::events::windows::{HitCounter, Windows};
use libm::{exp, log, log1p};
use model::time::MINUTE_MS;

/// Pairs whose quick look stays below this have no evidence.
pub const GLANCE_MIN: f64 = 1.0;

/// Fewest hits in some window.
const HITS_MIN: u32 = 3;

/// Logarithms of whole numbers, extended as needed.
#[derive(Clone, Debug, Default)]
pub struct Logs(Vec<f64>);

impl Logs {
    fn reserve(&mut self, n: usize) {
        while self.0.len() <= n {
            self.0.push(log(self.0.len() as f64));
        }
    }
}

/// The quick look: an estimate, from above, of the logarithm of a pair's e-value, from its hits per window.
///
/// ```
/// use coral_operators::events::{glance::{Logs, glance}, windows::{HitCounter, Windows}};
/// use model::time::DAY_MS;
/// let windows = Windows::new(240);
/// let mut logs = Logs::default();
/// let mut hits = HitCounter::new(&windows);
/// for source in 0..20 {
///     hits.next_source();
///     hits.add(&windows, 17);
///     let bound = glance(&windows, &hits, 20, 20, 30 * DAY_MS, &mut logs);
///     assert_eq!(bound > 1.0, source >= 2, "{bound} after {source}");
/// }
/// ```
pub fn glance(
    windows: &Windows,
    hits: &HitCounter,
    source_count: usize,
    target_count: usize,
    length_ms: i64,
    logs: &mut Logs,
) -> f64 {
    logs.reserve(source_count);
    let n = source_count as f64;
    let per_min = target_count as f64 / (length_ms as f64 / MINUTE_MS as f64);
    let mut bounds = Vec::new();
    let mut greatest = 0;
    for width in &windows.widths {
        let flat = f64::from(width.width_min) * per_min;
        let chance = 1.0 - exp(-flat);
        let (log_chance, log_rest) = (log(chance), log1p(-chance));
        for count in &hits.counts[width.first..width.first + width.count] {
            let (hit, missed) = (f64::from(*count), n - f64::from(*count));
            greatest = greatest.max(*count);
            if hit <= n * chance {
                bounds.push(width.log_prior);
                continue;
            }
            let of_missed =
                if missed > 0.0 { missed * (logs.0[missed as usize] - logs.0[source_count] - log_rest) } else { 0.0 };
            let of_hit = hit * (logs.0[*count as usize] - logs.0[source_count] - log_chance);
            bounds.push(of_hit + of_missed + width.log_prior);
        }
    }
    if greatest < HITS_MIN { f64::NEG_INFINITY } else { log_sum_exp(&bounds) }
}
