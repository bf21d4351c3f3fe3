//! One pair of event types from scratch: every lag in every window, units as lists of onsets, products unit by unit.

use model::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use std::f64::consts::PI;

/// One pair at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Analysis {
    /// Logarithm of the e-value, ignoring the pre-check.
    pub log_e: f64,
    /// The quick look.
    pub glance: f64,
    /// The best window, minutes.
    pub window_min: (i64, i64),
    /// Logarithm of its prior weight.
    pub log_prior: f64,
    /// Targets expected by chance per source in it.
    pub expected: f64,
}

/// `(start, end, prior)` of every window, minutes.
fn windows(max_lag_min: i64) -> Vec<(i64, i64, f64)> {
    let mut widths: Vec<i64> = [2, 4, 8, 16, 32, 64, 128].into_iter().filter(|width| *width < max_lag_min).collect();
    widths.push(max_lag_min);
    let mut windows = Vec::new();
    for width in &widths {
        let starts: Vec<i64> = (0..=max_lag_min - width).filter(|start| start % (width / 2).max(1) == 0).collect();
        for start in &starts {
            windows.push((*start, start + width, 1.0 / (widths.len() * starts.len()) as f64));
        }
    }
    windows
}

/// Targets per minute at one minute of the day.
fn seasonal_rate(targets: &[i64], days: f64, minute_factors: &[f64; 60], minute_of_day: i64) -> f64 {
    let in_hour =
        |hour: i64| targets.iter().filter(|at| at.rem_euclid(DAY_MS) / HOUR_MS == hour.rem_euclid(24)).count() as f64;
    let hour = minute_of_day / 60 % 24;
    let smoothed = (in_hour(hour - 1) + 2.0 * in_hour(hour) + in_hour(hour + 1)) / 4.0;
    let mean = targets.len() as f64 / 24.0;
    let hourly = ((smoothed * days + mean * 2.0) / (days + 2.0)) / (60.0 * days);
    hourly * minute_factors[(minute_of_day % 60) as usize]
}

/// Factor by minute of the hour, all 1 unless the schedule test fires.
fn minute_factors(targets: &[i64]) -> [f64; 60] {
    let n = targets.len() as f64;
    let power = |harmonic: f64| {
        let angle = |at: &i64| 2.0 * PI * harmonic * (at.rem_euclid(HOUR_MS) as f64 / MINUTE_MS as f64) / 60.0;
        let real: f64 = targets.iter().map(|at| angle(at).cos()).sum();
        let imaginary: f64 = targets.iter().map(|at| angle(at).sin()).sum();
        (real.powi(2) + imaginary.powi(2)) / n
    };
    let strongest = [1.0, 2.0, 3.0, 4.0, 6.0, 12.0].map(power).into_iter().fold(0.0, f64::max);
    let mut factors = [1.0; 60];
    if strongest > 8.7 {
        let count = |minute: i64| {
            targets.iter().filter(|at| at.rem_euclid(HOUR_MS) / MINUTE_MS == minute.rem_euclid(60)).count() as f64
        };
        let mean = n / 60.0;
        let a = 3.0 * mean / (3.0 + mean);
        for minute in 0..60 {
            let near = (count(minute - 1) + count(minute) + count(minute + 1)) / 3.0;
            let peak = (count(minute) + count(minute).sqrt()).max(near);
            factors[minute as usize] = ((peak + a) / (mean + a)).max(1.0);
        }
    }
    factors
}

/// How many of rising `times` lie in `(from, to]`.
fn count_within(times: &[i64], from: i64, to: i64) -> f64 {
    times.partition_point(|at| *at <= to).saturating_sub(times.partition_point(|at| *at <= from)) as f64
}

/// One end of a pair: the onsets of this end, those of the other, and the span, all on one direction of time.
struct Side<'a> {
    own: &'a [i64],
    other: &'a [i64],
    origin: i64,
    instant: i64,
    max_lag_min: i64,
    lags: Vec<i64>,
    rate: Vec<f64>,
}

impl<'a> Side<'a> {
    fn new(own: &'a [i64], other: &'a [i64], origin: i64, instant: i64, max_lag_min: i64) -> Side<'a> {
        let reach = max_lag_min * MINUTE_MS;
        let mut lags: Vec<i64> = own
            .iter()
            .flat_map(|one| other.iter().map(move |other| other - one))
            .filter(|lag| *lag > -reach && *lag <= reach)
            .collect();
        lags.sort_unstable();
        let days = (instant - origin) as f64 / DAY_MS as f64;
        let factors = minute_factors(other);
        let rate = (0..1440).map(|minute| seasonal_rate(other, days, &factors, minute)).collect();
        Side { own, other, origin, instant, max_lag_min, lags, rate }
    }

    /// Lags in `(from, to]` minutes, cut off at the longest.
    fn lags_within(&self, from: i64, to: i64) -> f64 {
        count_within(&self.lags, from * MINUTE_MS, to * MINUTE_MS)
    }

    /// Estimates (i) to (v).
    fn model(&self, start: i64, end: i64) -> f64 {
        let (n, width, reach) = (self.own.len() as f64, end - start, self.max_lag_min);
        let span_min = (self.instant - self.origin) as f64 / MINUTE_MS as f64;
        let flat = width as f64 * self.other.len() as f64 / span_min;
        let expected = |one: &i64| -> f64 {
            let minute = one.rem_euclid(DAY_MS) / MINUTE_MS;
            (start..end).map(|lag| self.rate[((minute + lag) % 1440) as usize]).sum()
        };
        let seasonal = self.own.iter().map(expected).sum::<f64>() / n;
        let margin = width + (4 * width).max(60);
        let (outer, inner) = ((start - margin, end + margin), (start - width / 2, end + width / 2));
        let around = self.lags_within(outer.0, outer.1) - self.lags_within(inner.0, inner.1);
        let length = |range: (i64, i64)| range.1.clamp(-reach, reach) - range.0.clamp(-reach, reach);
        let exposure = n * (length(outer) - length(inner)).max(1) as f64;
        let mut m = flat.max(seasonal);
        let flank = width as f64 * (around + 1.0) / (exposure + span_min / self.other.len() as f64);
        let by_model = exposure * m / width as f64;
        // up to one standard deviation it is noise, from two on it holds
        let beyond = ((around - by_model) / (by_model + 0.5).sqrt() - 1.0).min(1.0);
        if beyond > 0.0 && flank > m {
            m += beyond * (flank - m);
        }
        let margin = (16 - width).max(0) / 2;
        let (near, far) = ((start - margin).max(0), (end + margin).min(reach));
        let mirrored = self.lags_within(-far, -near);
        let share = width as f64 / (far - near) as f64;
        let by_mirror = share * (mirrored + 5.0 * m / share) / (n + 5.0);
        if start < 60 {
            m = m.max(by_mirror);
        } else if by_mirror > m {
            let by_model = n * m / share;
            let beyond = (mirrored - by_model) / (by_model + 0.5).sqrt() - 1.0;
            m += beyond.clamp(0.0, 1.0) * (by_mirror - m);
        }
        let margin = ((4 * width).max(16) - width) / 2;
        let (wide_start, wide_end) = ((start - margin).max(0), (end + margin).min(reach));
        let share = width as f64 / (wide_end - wide_start) as f64;
        let pulled = |hits: f64, seen: f64, known: f64| {
            if hits - seen * known > 3.0 * (seen * known + 0.5).sqrt() {
                (hits + known) / (seen + 1.0)
            } else {
                ((hits - hits.sqrt()).max(0.0) + 10.0 * known) / (seen + 10.0)
            }
        };
        let groups: [&[i64]; 2] = [&[1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13], &[7, 14, 21, 28]];
        let mut known = m;
        for group in groups {
            let (mut hits, mut wide, mut seen) = (0.0, 0.0, 0.0);
            for shift in group.iter().flat_map(|day| [-day * DAY_MS, day * DAY_MS]) {
                for moved in self.own.iter().map(|at| at + shift) {
                    hits += count_within(self.other, moved + start * MINUTE_MS, moved + end * MINUTE_MS);
                    wide += count_within(self.other, moved + wide_start * MINUTE_MS, moved + wide_end * MINUTE_MS);
                    let middle = moved + (start + end) * MINUTE_MS / 2;
                    seen += f64::from(u8::from(middle >= self.origin && middle <= self.instant));
                }
            }
            known = pulled(hits, seen, known).max(share * pulled(wide, seen, known / share));
            m = m.max(known);
        }
        m
    }

    /// The fullest slot of `length` minutes that starts at least `distance` away from `start`.
    fn fullest(&self, length: i64, distance: i64, start: i64) -> f64 {
        let starts = -self.max_lag_min..=self.max_lag_min - length;
        let far = starts.filter(|at| *at <= start - distance || *at >= start + distance);
        far.map(|at| self.lags_within(at, at + length)).fold(0.0, f64::max)
    }

    /// Chance level with estimate (vi), and whether another lag carries evidence.
    fn chance(&self, start: i64, end: i64) -> (f64, bool) {
        let (n, width) = (self.own.len() as f64, end - start);
        let model = self.model(start, end);
        let length = width.max(15);
        if width == self.max_lag_min || length >= 2 * self.max_lag_min {
            return (model.max(1e-9), false);
        }
        let distance = (1.5 * length as f64).max(25.0) as i64;
        let z = |count: f64, mean: f64| (count - mean) / (mean + 0.5).sqrt();
        let wide = self.fullest(length, distance, start - (length - width) / 2);
        let own = z(wide, n * model * length as f64 / width as f64) > 3.0;
        let short =
            if width > 15 { self.fullest(15, distance, start).min(self.fullest(15, distance, end - 15)) } else { wide };
        let flat = self.other.len() as f64 * MINUTE_MS as f64 / (self.instant - self.origin) as f64;
        let beat = z(short, n * flat * 15.0) > 4.0 && short >= 0.5 * self.lags_within(start, end);
        let mut m = model;
        if own {
            m = m.max(wide / n);
        }
        if beat {
            m = m.max(short / n);
        }
        (m.max(1e-9), own || beat)
    }

    /// Lists of onsets, split at gaps.
    fn split(&self, splits: impl Fn(i64) -> bool) -> Vec<Vec<i64>> {
        let mut units: Vec<Vec<i64>> = Vec::new();
        for at in self.own {
            match units.last_mut() {
                Some(unit) if !splits(at - unit[unit.len() - 1]) => unit.push(*at),
                _ => units.push(vec![*at]),
            }
        }
        units
    }

    /// Whether a slot of 15 minutes of its own lags exceeds its surroundings.
    fn is_regular(&self) -> bool {
        let lags: Vec<i64> = self
            .own
            .iter()
            .flat_map(|one| self.own.iter().map(move |other| other - one))
            .filter(|lag| *lag > 0 && *lag <= self.max_lag_min * MINUTE_MS)
            .collect();
        let inside = |low: i64, high: i64, minute: i64| minute > low.max(15) && minute <= high.min(self.max_lag_min);
        let count = |low: i64, high: i64| {
            let minute = |lag: &i64| (lag + MINUTE_MS - 1).div_euclid(MINUTE_MS);
            lags.iter().filter(|lag| inside(low, high, minute(lag))).count() as f64
        };
        let minutes = |low: i64, high: i64| (1..=self.max_lag_min).filter(|one| inside(low, high, *one)).count() as f64;
        (15..=self.max_lag_min - 15).any(|start| {
            let (outer, inner) = ((start - 60, start + 75), (start - 15, start + 30));
            let length = minutes(outer.0, outer.1) - minutes(inner.0, inner.1);
            let mean = (count(outer.0, outer.1) - count(inner.0, inner.1)) * 15.0 / length.max(1.0);
            let own = count(start, start + 15);
            let stands_out = (own - mean) / (mean + 0.5).sqrt() > 4.0;
            // Anscombe's transform makes the variance of a Poisson count one
            let anscombe = |count: f64| 2.0 * (count + 3.0 / 8.0).sqrt();
            let is_skew = self.own.len() >= 30 && anscombe(own) - anscombe(mean) <= 3.5;
            length >= 15.0 && stands_out && !is_skew
        })
    }

    /// Whether half of the gaps are about the median gap, a long one, and more than in a Poisson stream.
    fn is_periodic(&self) -> bool {
        let mut gaps: Vec<i64> = self.own.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        let mean = gaps.iter().sum::<i64>() as f64 / gaps.len() as f64;
        let middle = gaps[(gaps.len() - 1) / 2];
        let near = gaps.iter().filter(|gap| (*gap - middle).abs() <= 450_000).count() as f64;
        let expected = gaps.len() as f64 * (15 * MINUTE_MS) as f64 / mean * (-(middle as f64) / mean).exp();
        let is_most = near >= 4.0 && 2.0 * near >= gaps.len() as f64;
        middle >= self.max_lag_min * MINUTE_MS && is_most && (near - expected) / (expected + 0.5).sqrt() > 4.0
    }

    fn units(&self) -> (Vec<Vec<i64>>, bool) {
        if self.is_periodic() {
            return (vec![self.own.to_vec()], true);
        }
        if self.is_regular() {
            return (self.split(|gap| gap >= self.max_lag_min * MINUTE_MS), true);
        }
        let n = self.own.len() as f64;
        let length = (self.instant - self.origin) as f64;
        let link = (0.25 * length / n).min(HOUR_MS as f64);
        let flat = link * n / length;
        let short = self.own.windows(2).filter(|pair| ((pair[1] - pair[0]) as f64) < link).count() as f64;
        let expected: f64 =
            self.own[..self.own.len() - 1].iter().map(|at| self.short_as_elsewhere(*at, link, flat)).sum();
        let bursty = 2.0 * ((short + 3.0 / 8.0).sqrt() - (expected + 3.0 / 8.0).sqrt()) > 2.0;
        if bursty { (self.split(|gap| gap as f64 >= link), true) } else { (self.split(|_| true), false) }
    }

    /// The probability of another onset within `link` of one, as on other days at its time.
    fn short_as_elsewhere(&self, at: i64, link: f64, flat: f64) -> f64 {
        let days = (self.instant - self.origin + DAY_MS - 1) / DAY_MS;
        let moved = (1 - days..days).filter(|day| *day != 0).map(|day| at + day * DAY_MS);
        let observed: Vec<i64> = moved.filter(|at| *at >= self.origin && (self.instant - at) as f64 >= link).collect();
        let follows = |from: &i64| self.own.iter().filter(|at| **at > *from && (**at - from) as f64 <= link).count();
        let followed: usize = observed.iter().map(follows).sum();
        let rate = (followed as f64 + 2.0 * flat) / (observed.len() as f64 + 2.0);
        1.0 - (-rate.max(flat)).exp()
    }

    /// `ln E` of one window, and its chance level.
    fn log_e(&self, start: i64, end: i64, units: &[Vec<i64>], sessions: &[Vec<i64>]) -> (f64, f64) {
        let (m, locked) = self.chance(start, end);
        let count = |at: &i64| count_within(self.other, at + start * MINUTE_MS, at + end * MINUTE_MS);
        let means: Vec<f64> = (if locked { sessions } else { units })
            .iter()
            .filter_map(|unit| {
                let passed: Vec<&i64> = unit.iter().filter(|at| *at + end * MINUTE_MS <= self.instant).collect();
                let sum: f64 = passed.iter().map(|at| count(at)).sum();
                (!passed.is_empty()).then(|| sum / passed.len() as f64)
            })
            .collect();
        if means.iter().sum::<f64>() <= means.len() as f64 * m * (1.0 + 1e-9) {
            return (f64::NEG_INFINITY, m);
        }
        let thetas = [0.03, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96];
        let products = thetas.map(|theta| means.iter().map(|y| (theta * (y / m - 1.0)).ln_1p()).sum::<f64>());
        (log_sum(&products) - 12.0_f64.ln(), m)
    }
}

fn log_sum(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY { top } else { top + logs.iter().map(|one| (one - top).exp()).sum::<f64>().ln() }
}

/// The quick look against the flat rate.
fn glance(sources: &[i64], targets: &[i64], span_min: f64, max_lag_min: i64) -> f64 {
    let n = sources.len() as f64;
    let mut greatest = 0.0_f64;
    let bounds: Vec<f64> = windows(max_lag_min)
        .into_iter()
        .map(|(start, end, prior)| {
            let is_hit = |at: &&i64| {
                targets.iter().any(|target| target - *at > start * MINUTE_MS && target - *at <= end * MINUTE_MS)
            };
            let k = sources.iter().filter(is_hit).count() as f64;
            greatest = greatest.max(k);
            let p = 1.0 - (-((end - start) as f64) * targets.len() as f64 / span_min).exp();
            let part = |count: f64, p: f64| if count > 0.0 { count * (count / n / p).ln() } else { 0.0 };
            prior.ln() + if k > n * p { part(k, p) + part(n - k, 1.0 - p) } else { 0.0 }
        })
        .collect();
    if greatest < 3.0 { f64::NEG_INFINITY } else { log_sum(&bounds) }
}

/// One pair: onsets in `[origin, instant)`, rising; `None` when it is not eligible.
pub fn analyse(sources: &[i64], targets: &[i64], origin: i64, instant: i64, max_lag_min: i64) -> Option<Analysis> {
    if sources.len() < 3 || targets.len() < 3 {
        return None;
    }
    let (back_sources, back_targets): (Vec<i64>, Vec<i64>) =
        (sources.iter().rev().map(|at| -at).collect(), targets.iter().rev().map(|at| -at).collect());
    let by_source = Side::new(sources, targets, origin, instant, max_lag_min);
    let by_target = Side::new(&back_targets, &back_sources, -instant, -origin, max_lag_min);
    let splits = |gap: i64| gap >= max_lag_min * MINUTE_MS;
    let ((source_units, source_clustered), source_sessions) = (by_source.units(), by_source.split(splits));
    let ((target_units, target_clustered), target_sessions) = (by_target.units(), by_target.split(splits));
    let mut looked = Vec::new();
    for (start, end, prior) in windows(max_lag_min) {
        let (from_source, m) = by_source.log_e(start, end, &source_units, &source_sessions);
        let (from_target, _) = by_target.log_e(start, end, &target_units, &target_sessions);
        let both = match (source_clustered, target_clustered) {
            (true, true) => from_source.min(from_target),
            (true, false) => from_target,
            (false, true) => from_source,
            (false, false) => log_sum(&[from_source, from_target]) - 2.0_f64.ln(),
        };
        let excess = (by_source.lags_within(start, end) + 1.0) / (sources.len() as f64 * m + 1.0);
        looked.push((both + prior.ln(), excess, (start, end), prior.ln(), m));
    }
    // the first of the best; windows that differ only by rounding are equally good
    let shares: Vec<f64> = looked.iter().map(|one| one.0).collect();
    let top = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let most = looked.iter().map(|one| one.1).fold(0.0, f64::max);
    let best = looked.iter().find(|one| if top.is_finite() { one.0 >= top - 1e-9 } else { one.1 >= most - 1e-9 })?;
    let (_, _, window_min, log_prior, expected) = *best;
    let span_min = (instant - origin) as f64 / MINUTE_MS as f64;
    let glance = glance(sources, targets, span_min, max_lag_min);
    Some(Analysis { log_e: log_sum(&shares), glance, window_min, log_prior, expected })
}
