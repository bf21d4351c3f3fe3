//! Two groups of values compared by ranks. Neighbouring minutes resemble each other, so that the plain test finds something
//! in a third of all null cases; here the number of points is what they are worth (methods, section 4).

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Two-sided 95 %.
const Z_95: f64 = 1.959_963_984_540_054;
/// Beyond this, neighbours tell nothing new.
const RHO_MAX: f64 = 0.99;

/// How two groups compare; positive where the second one is greater.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Standard normal under the null, allowing for autocorrelation.
    pub z: f64,
    /// Cliff's delta, -1 to 1: how much more often a value of the second group is the greater one.
    pub delta: f64,
    /// Median of all differences (Hodges-Lehmann).
    pub shift: f64,
    /// 95 % interval of the shift.
    pub interval: (f64, f64),
    /// How many independent values the groups are worth.
    pub effective: (f64, f64),
}

/// Compares `after` with `before`, each in the order of time; `None` if a group has fewer than 2 values.
pub fn compare(before: &[f64], after: &[f64]) -> Option<Comparison> {
    let (n_a, n_b) = (before.len(), after.len());
    if n_a < 2 || n_b < 2 {
        return None;
    }
    let (a, b) = (n_a as f64, n_b as f64);
    let all: Vec<f64> = before.iter().chain(after).copied().collect();
    let ranks = ranks(&all);
    let rank_sum: f64 = ranks[n_a..].iter().sum();
    // pairs in which the second value is greater, ties as halves
    let u = rank_sum - b * (b + 1.0) / 2.0;
    let rho = autocorrelation(&ranks[..n_a], &ranks[n_a..]);
    let worth = (1.0 - rho) / (1.0 + rho);
    let variance = a * b / 12.0 * ((a + b + 1.0) - ties(&all) / ((a + b) * (a + b - 1.0)));
    let z = if variance > 0.0 { (u - a * b / 2.0) / variance.sqrt() * worth.sqrt() } else { 0.0 };
    let mut differences: Vec<f64> = before.iter().flat_map(|x| after.iter().map(move |y| y - x)).collect();
    let spread = if variance > 0.0 { Z_95 * (variance / worth).sqrt() } else { 0.0 };
    let low = (a * b / 2.0 - spread).floor().max(0.0) as usize;
    let high = differences.len() - 1 - low.min(differences.len() - 1);
    // without any spread they meet, or have changed places
    let (low, high) = (low.min(high), low.max(high));
    let half = differences.len() / 2;
    let middle = half - usize::from(differences.len().is_multiple_of(2));
    // low is at most, and high at least, half of all: four places of the order are all that is needed of it
    let [first, below, above, last] = ordered(&mut differences, [low, middle, half, high]);
    Some(Comparison {
        z,
        delta: 2.0 * u / (a * b) - 1.0,
        shift: if below == above { above } else { f64::midpoint(below, above) },
        interval: (first, last),
        effective: (a * worth, b * worth),
    })
}

/// The values at these places of the order; the places do not fall.
pub(super) fn ordered<const N: usize>(values: &mut [f64], places: [usize; N]) -> [f64; N] {
    let mut from = 0;
    places.map(|place| {
        // everything before `from` is at most what follows
        let (_, value, _) = values[from..].select_nth_unstable_by(place - from, f64::total_cmp);
        from = place;
        *value
    })
}

/// Ranks from 1; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for group in order.chunk_by(|i, j| values[*i] == values[*j]) {
        let rank = first as f64 + (group.len() as f64 + 1.0) / 2.0;
        group.iter().for_each(|place| ranks[*place] = rank);
        first += group.len();
    }
    ranks
}

/// Sum of `t^3 - t` over groups of equal values.
fn ties(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.chunk_by(|x, y| x == y).map(|group| (group.len() as f64).powi(3) - group.len() as f64).sum()
}

/// Lag-1 autocorrelation of the ranks around the mean of their group, corrected for few points; 0 to `RHO_MAX`.
fn autocorrelation(before: &[f64], after: &[f64]) -> f64 {
    let (mut products, mut squares) = (0.0, 0.0);
    for group in [before, after] {
        let mean = group.iter().sum::<f64>() / group.len() as f64;
        let centred: Vec<f64> = group.iter().map(|rank| rank - mean).collect();
        products += centred.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        squares += centred.iter().map(|value| value * value).sum::<f64>();
    }
    if squares == 0.0 {
        return 0.0;
    }
    let rho = products / squares;
    let count = (before.len() + after.len()) as f64;
    (rho + 2.0 * (1.0 + 3.0 * rho) / count).clamp(0.0, RHO_MAX)
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

fn median_of_sorted(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Probability that a standard normal is above `z`.
///
/// ```
/// use coral_operators::impact::ranks::above;
/// assert!((above(0.0) - 0.5).abs() < 1e-7 && (above(1.959964) - 0.025).abs() < 1e-6);
/// assert!((above(-1.0) + above(1.0) - 1.0).abs() < 1e-7);
/// ```
pub fn above(z: f64) -> f64 {
    let half = erfc(z.abs() * FRAC_1_SQRT_2) / 2.0;
    if z >= 0.0 { half } else { 1.0 - half }
}

/// The value that a standard normal exceeds with probability `p`, for `p` up to one half.
///
/// ```
/// use coral_operators::impact::ranks::exceeded_with;
/// assert!((exceeded_with(0.025) - 1.959964).abs() < 1e-5 && (exceeded_with(0.1) - 1.281552).abs() < 1e-5);
/// assert!(exceeded_with(0.5).abs() < 1e-5);
/// ```
pub fn exceeded_with(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 38.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if above(middle) > p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Complementary error function for `x >= 0`: a continued fraction beyond 2, a series before it.
fn erfc(x: f64) -> f64 {
    if x > 2.0 {
        let mut fraction = 0.0;
        for step in (1..=60).rev() {
            fraction = f64::from(step) / 2.0 / (x + fraction);
        }
        return (-x * x).exp() / (x + fraction) / PI.sqrt();
    }
    // erf(x) = 2/sqrt(pi) * sum (-1)^n x^(2n+1) / (n! (2n+1))
    let (mut term, mut sum) = (x, x);
    for n in 1..60 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    1.0 - sum * 2.0 / PI.sqrt()
}

/// Benjamini and Hochberg's q-values, in the order of `p`.
///
/// ```
/// use coral_operators::impact::ranks::q_values;
/// assert_eq!(q_values(&[0.01, 0.5, 0.02]), [0.03, 0.5, 0.03]);
/// ```
pub fn q_values(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|i, j| p[*j].total_cmp(&p[*i]));
    let mut q = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (place, index) in order.iter().enumerate() {
        let rank = (p.len() - place) as f64;
        least = least.min(p[*index] * p.len() as f64 / rank);
        q[*index] = least;
    }
    q
}
