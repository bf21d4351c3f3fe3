//! The statistics of metric pairs as plain functions. A missing value is NaN in every slice here.

/// Lags at which an autocorrelation is known; between them it is interpolated (methods: 19 roughly dyadic lags).
pub const ACF_LAGS: [usize; 19] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 720];

/// An autocorrelation at [`ACF_LAGS`].
pub type Acf = [f64; ACF_LAGS.len()];

/// A variance this small beside the mean square is rounding: the series did not move.
const RELATIVE_VARIANCE_MIN: f64 = 1e-12;

/// A distance this small beside the largest one is rounding.
const RELATIVE_DISTANCE_MIN: f64 = 1e-9;

/// Whether a sum of squares about the mean, out of a sum of squares `raw`, is more than rounding.
pub fn varies(about_mean: f64, raw: f64) -> bool {
    about_mean > RELATIVE_VARIANCE_MIN * raw
}

/// Pearson's r of the slots in which both are observed, and their number. Two passes: means first.
/// `None` with fewer than three points or when one side does not move.
///
/// ```
/// use coral_operators::metrics::stats::pearson;
/// let (r, n) = pearson(&[1.0, 2.0, 3.0, f64::NAN], &[2.0, 4.0, 6.0, 1.0]).unwrap();
/// assert!((r - 1.0).abs() < 1e-12 && n == 3);
/// assert!(pearson(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]).is_none());
/// ```
pub fn pearson(x: &[f64], y: &[f64]) -> Option<(f64, usize)> {
    let both = || x.iter().zip(y).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (mut n, mut sum_x, mut sum_y) = (0_usize, 0.0, 0.0);
    for (a, b) in both() {
        n += 1;
        sum_x += a;
        sum_y += b;
    }
    if n < 3 {
        return None;
    }
    let (mean_x, mean_y) = (sum_x / n as f64, sum_y / n as f64);
    let (mut xx, mut yy, mut xy, mut raw_x, mut raw_y) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b) in both() {
        let (dx, dy) = (a - mean_x, b - mean_y);
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
        raw_x += a * a;
        raw_y += b * b;
    }
    if !varies(xx, raw_x) || !varies(yy, raw_y) {
        return None;
    }
    let r = xy / (xx.sqrt() * yy.sqrt());
    r.is_finite().then_some((r.clamp(-1.0, 1.0), n))
}

/// [`pearson`] of several pairs of slices of one length, bit for bit: each sum adds the same numbers in the same order. Alone a
/// sum waits for its last addition; several are added up side by side.
///
/// # Panics
/// When a slice is shorter than the first.
///
/// ```
/// use coral_operators::metrics::stats::{pearson, pearsons};
/// let (x, y, z) = ([1.0, 2.0, 4.0, f64::NAN], [2.0, 1.0, 3.0, 1.0], [0.5, 0.5, 0.5, 0.5]);
/// assert_eq!(pearsons([[&x, &y], [&y, &x], [&x, &z]]), [pearson(&x, &y), pearson(&y, &x), None]);
/// ```
pub fn pearsons<const N: usize>(pairs: [[&[f64]; 2]; N]) -> [Option<(f64, usize)>; N] {
    let slots = pairs.first().map_or(0, |[x, _]| x.len());
    let pairs = pairs.map(|[x, y]| (&x[..slots], &y[..slots]));
    // a missing value adds 0, which changes no sum that began as 0
    let (mut n, mut sum_x, mut sum_y) = ([0_usize; N], [0.0; N], [0.0; N]);
    for slot in 0..slots {
        for (k, (x, y)) in pairs.iter().enumerate() {
            let (a, b) = (x[slot], y[slot]);
            let is_seen = !a.is_nan() & !b.is_nan();
            n[k] += usize::from(is_seen);
            sum_x[k] += if is_seen { a } else { 0.0 };
            sum_y[k] += if is_seen { b } else { 0.0 };
        }
    }
    let means: [(f64, f64); N] = std::array::from_fn(|k| (sum_x[k] / n[k] as f64, sum_y[k] / n[k] as f64));
    let mut sums = [[0.0; 5]; N];
    for slot in 0..slots {
        for ((x, y), ((mean_x, mean_y), sums)) in pairs.iter().zip(means.iter().zip(&mut sums)) {
            let (a, b) = (x[slot], y[slot]);
            let is_seen = !a.is_nan() & !b.is_nan();
            let (a, b, dx, dy) = if is_seen { (a, b, a - mean_x, b - mean_y) } else { (0.0, 0.0, 0.0, 0.0) };
            let products = [dx * dx, dy * dy, dx * dy, a * a, b * b];
            sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
        }
    }
    std::array::from_fn(|k| {
        let [xx, yy, xy, raw_x, raw_y] = sums[k];
        if n[k] < 3 || !varies(xx, raw_x) || !varies(yy, raw_y) {
            return None;
        }
        let r = xy / (xx.sqrt() * yy.sqrt());
        r.is_finite().then_some((r.clamp(-1.0, 1.0), n[k]))
    })
}

/// Pearson's r without the `drop` slots whose products of deviations are largest; 0 when nothing is left that moves.
pub fn pearson_without_largest(x: &[f64], y: &[f64], drop: usize) -> f64 {
    let both = || x.iter().zip(y).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (mut n, mut sum_x, mut sum_y) = (0_usize, 0.0, 0.0);
    for (a, b) in both() {
        n += 1;
        sum_x += a;
        sum_y += b;
    }
    let (mean_x, mean_y) = (sum_x / n as f64, sum_y / n as f64);
    // the largest so far, in descending order; of equal ones the earlier
    let mut largest: Vec<(f64, usize)> = Vec::with_capacity(drop + 1);
    for (i, (a, b)) in both().enumerate() {
        let one = ((a - mean_x) * (b - mean_y)).abs();
        if largest.len() == drop && largest.last().is_none_or(|(least, _)| least.total_cmp(&one).is_ge()) {
            continue;
        }
        let place = largest.partition_point(|(other, _)| other.total_cmp(&one).is_ge());
        largest.insert(place, (one, i));
        largest.truncate(drop);
    }
    let is_left = |i: usize| !largest.iter().any(|(_, dropped)| *dropped == i);
    let (mut left_x, mut left_y) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for (i, (a, b)) in both().enumerate() {
        if is_left(i) {
            left_x.push(*a);
            left_y.push(*b);
        }
    }
    pearson(&left_x, &left_y).map_or(0.0, |(r, _)| r)
}

/// Median of a slice that is not empty; puts it in another order.
fn median_of(values: &mut [f64]) -> f64 {
    let n = values.len();
    let (before, middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return *middle;
    }
    let below = before.iter().copied().max_by(f64::total_cmp).unwrap_or(*middle);
    below / 2.0 + *middle / 2.0
}

/// Centre and robust sigma of the observed values: the median, and the median distance from it over that of a normal
/// law. A mostly constant series has median distance 0. Then the 75th, then the 90th percentile of the distances is
/// used, and a series that is constant for nine tenths of the time has sigma 0.
pub fn robust_scale(values: &[f64]) -> Option<(f64, f64)> {
    let mut distances: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    if distances.is_empty() {
        return None;
    }
    let centre = median_of(&mut distances);
    distances.iter_mut().for_each(|v| *v = (*v - centre).abs());
    let largest = distances.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0);
    const NORMAL: [(f64, f64); 3] =
        [(0.5, 0.674_489_750_196_081_7), (0.75, 1.150_349_380_376_008), (0.9, 1.644_853_626_951_472_2)];
    for (share, of_normal) in NORMAL {
        let rank = (share * distances.len() as f64).ceil() as usize;
        let place = rank.clamp(1, distances.len()) - 1;
        let distance = *distances.select_nth_unstable_by(place, f64::total_cmp).1;
        // equal steps differ by their rounding
        if distance > RELATIVE_DISTANCE_MIN * largest {
            return Some((centre, distance / of_normal));
        }
    }
    Some((centre, 0.0))
}

/// Autocorrelation at [`ACF_LAGS`], over the pairs of slots that are both observed; 0 beyond the slice.
pub fn autocorrelation(values: &[f64]) -> Acf {
    let mut acf = [0.0; ACF_LAGS.len()];
    let observed = values.iter().filter(|v| !v.is_nan());
    let (n, sum) = observed.clone().fold((0_usize, 0.0), |(n, sum), v| (n + 1, sum + v));
    if n < 3 {
        return acf;
    }
    let mean = sum / n as f64;
    let variance = observed.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
    if variance <= 0.0 {
        return acf;
    }
    // 0 where missing, which changes no sum
    let about: Vec<f64> = values.iter().map(|v| if v.is_nan() { 0.0 } else { v - mean }).collect();
    let is_complete = n == values.len();
    // several lags at once, each added up in the order of time: one alone waits for its last addition
    for (slots, lags) in acf.chunks_mut(ACF_TOGETHER).zip(ACF_LAGS.chunks(ACF_TOGETHER)) {
        let products = lagged_products(&about, lags);
        for ((slot, lag), product) in
            slots.iter_mut().zip(lags).zip(products).filter(|((_, lag), _)| **lag < values.len())
        {
            let late = &values[*lag..];
            let pairs = if is_complete {
                late.len()
            } else {
                values.iter().zip(late).filter(|(early, late)| !early.is_nan() && !late.is_nan()).count()
            };
            if pairs > 0 {
                *slot = product / pairs as f64 / variance;
            }
        }
    }
    acf
}

/// Kurtosis of the observed values: 3 for a normal law, more where a few values have most of the variance. 3 where
/// nothing is known.
///
/// ```
/// use coral_operators::metrics::stats::kurtosis;
/// let one_block: Vec<f64> = (0..100).map(|slot| f64::from(slot / 5 == 7)).collect();
/// assert!((kurtosis(&one_block) - 18.05).abs() < 0.01);
/// assert_eq!((kurtosis(&[1.0, -1.0, f64::NAN, 1.0, -1.0]), kurtosis(&[2.0; 9])), (1.0, 3.0));
/// ```
pub fn kurtosis(values: &[f64]) -> f64 {
    let observed = values.iter().filter(|v| !v.is_nan());
    let (n, sum) = observed.clone().fold((0_usize, 0.0), |(n, sum), v| (n + 1, sum + v));
    let mean = sum / n as f64;
    let (mut squares, mut fourths, mut raw) = (0.0, 0.0, 0.0);
    for v in observed {
        let square = (v - mean) * (v - mean);
        squares += square;
        fourths += square * square;
        raw += v * v;
    }
    if n < 3 || !varies(squares, raw) {
        return 3.0;
    }
    n as f64 * fourths / (squares * squares)
}

/// The part of the effective points of two series that is left where the variance of both is that of few of them: what a
/// normal law has of kurtosis, beside the geometric mean of theirs.
pub fn evenness(kurtosis_x: f64, kurtosis_y: f64) -> f64 {
    (3.0 / (kurtosis_x * kurtosis_y).sqrt()).min(1.0)
}

/// Lags that are summed up together.
const ACF_TOGETHER: usize = 5;

/// For each of ascending lags the sum of the products of values so far apart, added in the order of time; 0 beyond the slice.
fn lagged_products(values: &[f64], lags: &[usize]) -> [f64; ACF_TOGETHER] {
    let mut sums = [0.0; ACF_TOGETHER];
    let greatest = lags.iter().copied().max().unwrap_or(0);
    let together = values.len().saturating_sub(greatest);
    let late: [&[f64]; ACF_TOGETHER] = std::array::from_fn(|n| match lags.get(n) {
        Some(lag) if together > 0 => &values[*lag..*lag + together],
        _ => &values[..together],
    });
    for (slot, early) in values[..together].iter().enumerate() {
        for (sum, late) in sums.iter_mut().zip(late) {
            *sum += early * late[slot];
        }
    }
    for (sum, lag) in sums.iter_mut().zip(lags) {
        for slot in together..values.len().saturating_sub(*lag) {
            *sum += values[slot] * values[slot + lag];
        }
    }
    sums
}

/// Sum over all whole lags `1..window` of a function that is known at [`ACF_LAGS`] and linear between them.
fn sum_over_lags(window: usize, at: impl Fn(usize) -> f64) -> f64 {
    let known = ACF_LAGS.iter().take_while(|lag| **lag < window).count();
    let mut sum = if known > 0 { at(0) } else { 0.0 };
    for index in 1..known {
        let gap = (ACF_LAGS[index] - ACF_LAGS[index - 1]) as f64;
        sum += at(index - 1) * (gap - 1.0) / 2.0 + at(index) * (gap + 1.0) / 2.0;
    }
    sum
}

/// Integrated autocorrelation time in slots: one half plus the autocorrelation up to where it first is not positive.
pub fn correlation_time(acf: &Acf, window: usize) -> f64 {
    let positive = acf.iter().take_while(|a| **a > 0.0).count();
    0.5 + sum_over_lags(window, |index| if index < positive { acf[index] } else { 0.0 })
}

/// Effective number of independent points among `points` (Bartlett; Pyper and Peterman), clipped to `[3, points]`.
pub fn effective_points(x: &Acf, y: &Acf, window: usize, points: usize) -> f64 {
    let w = window as f64;
    let sum = sum_over_lags(window, |index| (1.0 - ACF_LAGS[index] as f64 / w) * (x[index] * y[index]).max(0.0));
    (points as f64 / (1.0 + 2.0 * sum)).min(points as f64).max(3.0)
}

/// Two-sided p-value of `r` (Fisher's z) after looking at `lags` lags (Bonferroni).
pub fn p_value(r: f64, effective: f64, lags: usize) -> f64 {
    if effective <= 3.0 {
        return 1.0;
    }
    let z = r.abs().min(1.0 - 1e-15).atanh() * (effective - 3.0).sqrt();
    (lags as f64 * libm::erfc(z / std::f64::consts::SQRT_2)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::Random;

    /// Values of very different size, with gaps, zeros of both signs and constant stretches.
    fn values(random: &mut Random, slots: usize) -> Vec<f64> {
        let scale = 10f64.powi(random.below(9) as i32 - 4);
        let (gaps, kind) = (random.uniform() * 0.3, random.below(6));
        (0..slots)
            .map(|slot| match kind {
                _ if random.chance(gaps) => f64::NAN,
                0 => 7.0,
                1 => -0.0,
                2 if slot % 50 < 40 => 0.0,
                3 => scale * random.normal() + 1e6,
                _ => scale * random.normal(),
            })
            .collect()
    }

    #[test]
    fn several_together_have_the_bits_of_each_by_itself() {
        let mut random = Random(3);
        let bits = |found: Option<(f64, usize)>| found.map(|(r, n)| (r.to_bits(), n));
        let mut defined = 0;
        for _ in 0..300 {
            let slots = random.below(120);
            let all: Vec<Vec<f64>> = (0..4).map(|_| values(&mut random, slots)).collect();
            let pairs = [[0, 1], [2, 1], [3, 0], [2, 2]].map(|pair| pair.map(|one| all[one].as_slice()));
            let alone = pairs.map(|[x, y]| bits(pearson(x, y)));
            assert_eq!(pearsons(pairs).map(bits), alone);
            defined += alone.iter().flatten().count();
        }
        assert!(defined > 300, "{defined}");
    }

    #[test]
    fn the_largest_products_are_left_out_and_of_equal_ones_the_earlier() {
        let x = [1.0, -1.0, 9.0, 2.0, f64::NAN, -2.0, 9.0, 0.5];
        let y = [0.9, -1.2, 9.0, -2.0, 3.0, 1.0, 9.0, 0.7];
        let without = |dropped: &[usize]| {
            let left = |values: &[f64]| -> Vec<f64> {
                values.iter().enumerate().filter(|(i, _)| !dropped.contains(i)).map(|(_, v)| *v).collect()
            };
            pearson(&left(&x), &left(&y)).map_or(0.0, |(r, _)| r)
        };
        assert_eq!(pearson_without_largest(&x, &y, 0), without(&[]));
        assert_eq!(pearson_without_largest(&x, &y, 1), without(&[2]));
        assert_eq!(pearson_without_largest(&x, &y, 2), without(&[2, 6]));
        assert_eq!(pearson_without_largest(&x[..2], &y[..2], 3), 0.0);
    }
}
