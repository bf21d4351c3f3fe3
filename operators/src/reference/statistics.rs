//! The statistics of a metric pair, each written out as it is defined.

use std::collections::BTreeMap;

const LAGS: [usize; 19] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 720];

/// Slot number to value.
pub(super) type Slots = BTreeMap<i64, f64>;

/// Pearson over value pairs.
pub(super) fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    if pairs.len() < 3 {
        return None;
    }
    let mean = |pick: fn(&(f64, f64)) -> f64| pairs.iter().map(pick).sum::<f64>() / n;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let (xx, yy) = (sum(&|p| (p.0 - mx).powi(2)), sum(&|p| (p.1 - my).powi(2)));
    if xx <= 1e-12 * sum(&|p| p.0 * p.0) || yy <= 1e-12 * sum(&|p| p.1 * p.1) {
        return None;
    }
    Some((sum(&|p| (p.0 - mx) * (p.1 - my)) / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0))
}

/// Values of both in the slots of the target's window, the source `lag` slots earlier.
pub(super) fn paired(x: &Slots, y: &Slots, end: i64, window: i64, lag: i64) -> Vec<(f64, f64)> {
    (end - window + 1..=end).filter_map(|slot| Some((*x.get(&(slot - lag))?, *y.get(&slot)?))).collect()
}

fn acf(values: &Slots, end: i64, window: i64) -> Vec<f64> {
    let inside: Slots = values.range(end - window + 1..=end).map(|(slot, v)| (*slot, *v)).collect();
    let n = inside.len() as f64;
    let mean = inside.values().sum::<f64>() / n;
    let variance = inside.values().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    LAGS.iter()
        .map(|lag| {
            let lag = *lag as i64;
            let products: Vec<f64> =
                inside.iter().filter_map(|(s, v)| Some((v - mean) * (inside.get(&(s + lag))? - mean))).collect();
            if products.is_empty() || inside.len() < 3 || variance <= 0.0 || lag >= window {
                return 0.0;
            }
            products.iter().sum::<f64>() / products.len() as f64 / variance
        })
        .collect()
}

/// Sum over every whole lag of the piecewise linear function through the known lags.
fn summed(known: &[f64], window: i64) -> f64 {
    let nodes: Vec<(f64, f64)> =
        LAGS.iter().zip(known).filter(|(lag, _)| (**lag as i64) < window).map(|(l, v)| (*l as f64, *v)).collect();
    let last = nodes.last().map_or(0, |node| node.0 as usize);
    (1..=last)
        .map(|lag| {
            let lag = lag as f64;
            let right = nodes.iter().position(|node| node.0 >= lag).unwrap_or(0);
            let (x1, y1) = nodes[right];
            if x1 == lag || right == 0 {
                return y1;
            }
            let (x0, y0) = nodes[right - 1];
            y0 + (y1 - y0) * (lag - x0) / (x1 - x0)
        })
        .sum()
}

/// Effective number of independent points among `n` (Bartlett; Pyper and Peterman).
pub(super) fn effective_of(x: &Slots, y: &Slots, n: usize, end: i64, window: i64) -> f64 {
    let (ax, ay) = (acf(x, end, window), acf(y, end, window));
    let f: Vec<f64> =
        (0..LAGS.len()).map(|i| (1.0 - LAGS[i] as f64 / window as f64) * (ax[i] * ay[i]).max(0.0)).collect();
    (n as f64 / (1.0 + 2.0 * summed(&f, window))).min(n as f64).max(3.0)
}

/// Fourth moment about the mean over the square of the second, of the window; that of a normal law where there is none.
pub(super) fn kurtosis(values: &Slots, end: i64, window: i64) -> f64 {
    let inside: Vec<f64> = values.range(end - window + 1..=end).map(|(_, v)| *v).collect();
    let mean =
        |power: i32, about: f64| inside.iter().map(|v| (v - about).powi(power)).sum::<f64>() / inside.len() as f64;
    let (second, fourth) = (mean(2, mean(1, 0.0)), mean(4, mean(1, 0.0)));
    if inside.len() < 3 || second <= 1e-12 * mean(2, 0.0) { 3.0 } else { fourth / (second * second) }
}

/// Two-sided p-value of `r` by Fisher's z.
pub(super) fn p_of(r: f64, effective: f64) -> f64 {
    if effective <= 3.0 {
        return 1.0;
    }
    let z = r.abs().min(1.0 - 1e-15).atanh() * (effective - 3.0).sqrt();
    libm::erfc(z / 2_f64.sqrt()).min(1.0)
}

/// Centre and robust sigma: median, and the first distance from it that is not 0 at the shares 1/2, 3/4, 9/10, over that
/// of a normal law.
pub(super) fn scale(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let centre = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
    let mut distances: Vec<f64> = sorted.iter().map(|v| (v - centre).abs()).collect();
    distances.sort_by(f64::total_cmp);
    let at_share = |share: f64| distances[(share * n as f64).ceil() as usize - 1];
    let sigma = [(0.5, 0.6744897501960817), (0.75, 1.150349380376008), (0.9, 1.6448536269514722)]
        .into_iter()
        .map(|(share, z)| (at_share(share), z))
        .find(|(distance, _)| *distance > 1e-9 * distances[n - 1])
        .map_or(0.0, |(distance, z)| distance / z);
    (centre, sigma)
}

/// Differences from slot to slot, clamped at six robust sigmas.
pub(super) fn differences(values: &Slots) -> Slots {
    let all: Slots =
        values.iter().filter_map(|(slot, value)| Some((*slot, value - values.get(&(slot - 1))?))).collect();
    if all.is_empty() {
        return all;
    }
    let (centre, sigma) = scale(all.values().copied());
    all.into_iter().map(|(slot, v)| (slot, v.max(centre - 6.0 * sigma).min(centre + 6.0 * sigma))).collect()
}

/// `ln` of the mean over all true values z of N(0, 1) of the likelihood ratio `exp(z S - z^2 V / 2)`, where `S` is the sum of
/// `v z` and `V` that of `v`: by the trapezoid rule around the maximum. A coefficient counts as 0.9 at most.
pub(super) fn log_mixture(windows: &[(f64, f64)]) -> f64 {
    let v = |effective: f64| effective - 3.0;
    let s: f64 = windows.iter().map(|(r, effective)| v(*effective) * r.clamp(-0.9, 0.9).atanh()).sum();
    let total: f64 = windows.iter().map(|(_, effective)| v(*effective)).sum();
    let exponent = |z: f64| z * s - z * z * (total + 1.0) / 2.0;
    let (centre, sd) = (s / (total + 1.0), 1.0 / (total + 1.0).sqrt());
    let (nodes, step) = (2000, 0.01 * sd);
    let sum: f64 =
        (-nodes..=nodes).map(|i| (exponent(centre + f64::from(i) * step) - exponent(centre)).exp() * step).sum();
    exponent(centre) + (sum / std::f64::consts::TAU.sqrt()).ln()
}

pub(super) fn drift_time(x: &Slots, end: i64, window: i64) -> f64 {
    let mut a = acf(x, end, window);
    if let Some(first) = a.iter().position(|v| *v <= 0.0) {
        a[first..].fill(0.0);
    }
    0.5 + summed(&a, window)
}
