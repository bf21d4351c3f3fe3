//! q-values: weighted e-BH over all pairs tested (Wang and Ramdas; Ignatiadis, Wang and Ramdas), valid under any dependence
//! between pairs.
//!
//! Weights express prior plausibility. They depend only on names and calls, and are scaled to sum to the number of pairs.

use libm::{exp, log};

/// Pairs of one application, across its environments.
pub const WEIGHT_APPLICATION: u32 = 10;
/// Pairs of services of which one calls the other.
pub const WEIGHT_CALL: u32 = 10;
/// Pairs of services of one name.
pub const WEIGHT_SERVICE: u32 = 3;
/// All other pairs.
pub const WEIGHT_OTHER: u32 = 1;

/// `q_(r) = min over s >= r of K / (s w E_(s))`, at most 1, with weights scaled to sum to the number of pairs K: for `ln w E`,
/// weights as they are, in falling order.
///
/// `weight_total` is the sum of the weights of all eligible pairs, whether or not their e-value is listed. Leaving out
/// `w E` below `1/a` changes no q-value that is `a` or less: such an entry at rank `s <= K` gives
/// `sum of w / (s w E) >= K / (s w E) >= 1 / (w E) > a`.
///
/// ```
/// use coral_operators::events::ebh::q_values;
/// let q = q_values(&[100f64.ln(), 50f64.ln(), 0.5f64.ln()], 4);
/// assert!((q[0] - 0.04).abs() < 1e-12 && (q[1] - 0.04).abs() < 1e-12 && q[2] == 1.0);
/// ```
pub fn q_values(log_weighted_falling: &[f64], weight_total: u64) -> Vec<f64> {
    let log_total = log(weight_total as f64);
    let mut smallest = 1.0_f64;
    let mut q_values: Vec<f64> = log_weighted_falling
        .iter()
        .enumerate()
        .rev()
        .map(|(index, log_e)| {
            let log_q = log_total - log((index + 1) as f64) - log_e;
            smallest = smallest.min(exp(log_q.min(0.0)));
            smallest
        })
        .collect();
    q_values.reverse();
    q_values
}
