//! q-values: e-BH over all pairs tested (Wang and Ramdas), valid under any dependence between pairs.

use libm::{exp, log};

/// `q_(r) = min over s >= r of K / (s E_(s))`, at most 1, for e-values given as logarithms in falling order.
///
/// `pairs_tested` is K: all eligible pairs, whether or not their e-value is listed. Leaving out e-values below `1/a`
/// changes no q-value that is `a` or less: such an entry at rank `s <= K` gives `K/(s E) >= 1/E > a`.
///
/// ```
/// use coral_operators::events::ebh::q_values;
/// let q = q_values(&[100f64.ln(), 50f64.ln(), 0.5f64.ln()], 4);
/// assert!((q[0] - 0.04).abs() < 1e-12 && (q[1] - 0.04).abs() < 1e-12 && q[2] == 1.0);
/// ```
pub fn q_values(log_e_falling: &[f64], pairs_tested: u64) -> Vec<f64> {
    let log_pairs = log(pairs_tested as f64);
    let mut smallest = 1.0_f64;
    let mut q_values: Vec<f64> = log_e_falling
        .iter()
        .enumerate()
        .rev()
        .map(|(index, log_e)| {
            let log_q = log_pairs - log((index + 1) as f64) - log_e;
            smallest = smallest.min(exp(log_q.min(0.0)));
            smallest
        })
        .collect();
    q_values.reverse();
    q_values
}
