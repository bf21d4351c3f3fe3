//! The impact of a deployment from scratch: every pair of values is counted, every list is sorted whole.

use crate::impact::ranks::Comparison;
use crate::impact::verdict::{Circumstances, Watched};
use crate::impact::windows::{Moment, Series};
use crate::impact::{MetricImpact, Verdict};
use model::meaning::{Better, Family, Meaning};
use model::time::{DAY_MS, MINUTE_MS, TimeMs};
use std::f64::consts::SQRT_2;

const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A judgement without its reason in words.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What became of the deployment.
    pub verdict: Verdict,
    /// The last look that is over.
    pub look_minutes: Option<i64>,
    /// How much worse its metrics got.
    pub impact_score: Option<f64>,
    /// Metric by metric, the worst first.
    pub changes: Vec<MetricImpact>,
}

/// Two groups of values, each in the order of time.
pub fn compare(before: &[f64], after: &[f64]) -> Option<Comparison> {
    if before.len() < 2 || after.len() < 2 {
        return None;
    }
    let (a, b) = (before.len() as f64, after.len() as f64);
    let all = [before, after].concat();
    let equals = |value: f64| all.iter().filter(|one| **one == value).count() as f64;
    let rank = |value: f64| {
        let less = all.iter().filter(|one| **one < value).count() as f64;
        less + (equals(value) + 1.0) / 2.0
    };
    let pairs: Vec<(f64, f64)> = before.iter().flat_map(|x| after.iter().map(move |y| (*x, *y))).collect();
    let greater = pairs.iter().filter(|(x, y)| y > x).count() as f64;
    let equal = pairs.iter().filter(|(x, y)| y == x).count() as f64;
    let wins = greater + equal / 2.0;
    let ties: f64 = all.iter().map(|value| equals(*value) * equals(*value) - 1.0).sum();
    let variance = a * b / 12.0 * ((a + b + 1.0) - ties / ((a + b) * (a + b - 1.0)));

    let centred = [before, after].map(|group| {
        let ranks: Vec<f64> = group.iter().map(|value| rank(*value)).collect();
        let mean = ranks.iter().sum::<f64>() / ranks.len() as f64;
        ranks.iter().map(|rank| rank - mean).collect::<Vec<f64>>()
    });
    let products: f64 = centred.iter().flat_map(|ranks| ranks.windows(2)).map(|pair| pair[0] * pair[1]).sum();
    let squares: f64 = centred.iter().flatten().map(|rank| rank * rank).sum();
    let rho = if squares == 0.0 { 0.0 } else { products / squares };
    let corrected = (rho + 2.0 * (1.0 + 3.0 * rho) / (a + b)).clamp(0.0, 0.99);
    let rho = if squares == 0.0 { 0.0 } else { corrected };
    let worth = (1.0 - rho) / (1.0 + rho);

    let mut differences: Vec<f64> = pairs.iter().map(|(x, y)| y - x).collect();
    differences.sort_by(f64::total_cmp);
    let last = differences.len() - 1;
    let spread = if variance > 0.0 { 1.959_963_984_540_054 * (variance / worth).sqrt() } else { 0.0 };
    let low = ((a * b / 2.0 - spread).floor().max(0.0) as usize).min(last);
    Some(Comparison {
        z: if variance > 0.0 { (wins - a * b / 2.0) / (variance / worth).sqrt() } else { 0.0 },
        delta: 2.0 * wins / (a * b) - 1.0,
        shift: median(&differences),
        interval: (differences[low.min(last - low)], differences[low.max(last - low)]),
        effective: (a * worth, b * worth),
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count => f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
    }
}

/// The values before and after.
fn sides(series: &Series, Moment { start, end }: Moment, look: i64) -> [Vec<f64>; 2] {
    let within = |from: TimeMs, to: TimeMs| {
        series.iter().filter(|(time, _)| (from..to).contains(*time)).map(|(_, value)| *value).collect::<Vec<f64>>()
    };
    [within(start - 60 * MINUTE_MS, start - 2 * MINUTE_MS), within(end + 3 * MINUTE_MS, end + look * MINUTE_MS)]
}

/// The median rise on the days before on which nothing was deployed.
fn usual(series: &Series, moment: Moment, look: i64, others: &[Moment]) -> Option<f64> {
    let mut rises = Vec::new();
    for days in 1..=7 {
        let day = Moment { start: moment.start - days * DAY_MS, end: moment.end - days * DAY_MS };
        let is_disturbed =
            others.iter().any(|other| other.start < day.end + HOUR_MS && other.end + HOUR_MS > day.start - HOUR_MS);
        let [before, after] = sides(series, day, look);
        if !is_disturbed && before.len() >= 5 && after.len() >= 5 {
            rises.push(median(&after) - median(&before));
        }
    }
    (rises.len() >= 3).then(|| median(&rises))
}

/// By which share of its level a sibling surely rose beyond its usual rise.
fn sure_share(series: &Series, moment: Moment, look: i64, others: &[Moment]) -> Option<f64> {
    let [before, after] = sides(series, moment, look);
    let level = median(&before);
    if before.len() < 5 || after.len() < 5 || level == 0.0 {
        return None;
    }
    let usual = usual(series, moment, look, others).unwrap_or(0.0);
    let after: Vec<f64> = after.iter().map(|value| value - usual).collect();
    let (low, high) = compare(&before, &after)?.interval;
    let sure = match (low > 0.0, high < 0.0) {
        (true, _) => low,
        (_, true) => high,
        _ => 0.0,
    };
    Some(sure / level.abs())
}

/// +1 where more is worse, -1 where less is, 0 where neither is known to be.
fn sign(meaning: Meaning) -> f64 {
    match meaning.better {
        Better::Lower => 1.0,
        Better::Higher => -1.0,
        Better::Unknown => 0.0,
    }
}

/// A metric, and how probable its change is by chance at one of the four looks.
fn change(circumstances: &Circumstances, one: &Watched, look: i64) -> Option<(MetricImpact, f64)> {
    let (moment, others) = (circumstances.moment, circumstances.others.as_slice());
    let [before, after] = sides(&one.series, moment, look);
    let usual = usual(&one.series, moment, look, others);
    let share = one.sibling.as_ref().and_then(|series| sure_share(series, moment, look, others));
    let beside = share.map(|share| share * median(&before).abs()).filter(|rise| *rise != 0.0);
    let explained = usual.unwrap_or(0.0) + beside.unwrap_or(0.0);
    let after: Vec<f64> = after.iter().map(|value| value - explained).collect();
    let found = compare(&before, &after)?;
    let chance = match sign(one.meaning) {
        0.0 => 1.0,
        sign => (4.0 * libm::erfc(sign * found.z / SQRT_2) / 2.0).min(1.0),
    };
    let before_value = median(&before);
    let change = MetricImpact {
        service_id: one.service_id.clone(),
        metric_name: one.metric_name.clone(),
        before_value,
        after_value: median(&after),
        percent_change: (before_value != 0.0).then(|| found.shift / before_value.abs() * 100.0),
        change: found.shift,
        change_low: found.interval.0,
        change_high: found.interval.1,
        q_value: 1.0,
        cliffs_delta: found.delta,
        significance: "none",
        sample_count: before.len().min(after.len()),
        effective_points: found.effective.0.min(found.effective.1),
        adjusted_for: [usual.map(|_| "time_of_day"), beside.map(|_| "sibling")].into_iter().flatten().collect(),
        meaning: one.meaning,
    };
    Some((change, chance))
}

/// The smallest share of chance findings at which this one of all is found.
fn q_value(chance: f64, all: &[f64]) -> f64 {
    let share = |most: f64| most * all.len() as f64 / all.iter().filter(|one| **one <= most).count() as f64;
    all.iter().filter(|one| **one >= chance).map(|one| share(*one)).fold(1.0, f64::min)
}

/// By how much of its level a metric got worse.
fn worse(change: &MetricImpact) -> f64 {
    let by = sign(change.meaning) * change.change;
    match change.before_value == 0.0 {
        true if by > 0.0 => f64::INFINITY,
        true => 0.0,
        false => by / change.before_value.abs(),
    }
}

fn is_critical(family: Family) -> bool {
    family == Family::Latency || family == Family::Errors
}

fn significance(change: &MetricImpact) -> &'static str {
    let (q, delta, worse) = (change.q_value, sign(change.meaning) * change.cliffs_delta, worse(change));
    if q <= 0.01 && delta >= 0.474 && worse >= 0.5 && is_critical(change.meaning.family) {
        "critical"
    } else if q <= 0.05 && delta >= 0.33 && worse >= 0.25 {
        "warning"
    } else if q <= 0.05 && worse >= 0.05 {
        "info"
    } else {
        "none"
    }
}

/// What a metric leaves of the score of a deployment without effect.
fn left(change: &MetricImpact) -> f64 {
    let weight = match change.meaning.family {
        Family::Latency | Family::Errors => 1.0,
        Family::Throughput | Family::Saturation => 0.5,
        Family::Other => 0.25,
    };
    let delta = (sign(change.meaning) * change.cliffs_delta).max(0.0);
    let severity = if change.q_value <= 0.05 { delta * (worse(change) / 0.5).clamp(0.0, 1.0) } else { 0.0 };
    1.0 - weight * severity
}

/// The judgement.
pub fn judge(circumstances: &Circumstances, watched: &[Watched]) -> Judged {
    let end = circumstances.moment.end;
    let is_over = |look: &i64| circumstances.known_to.is_some_and(|known| end + *look * MINUTE_MS <= known);
    let look_minutes = [60, 30, 15, 5].into_iter().find(is_over);
    let found: Vec<(MetricImpact, f64)> = look_minutes
        .map_or(Vec::new(), |look| watched.iter().filter_map(|one| change(circumstances, one, look)).collect());
    let chances: Vec<f64> = found.iter().map(|(_, chance)| *chance).collect();
    let mut changes = Vec::new();
    for (mut change, chance) in found {
        change.q_value = q_value(chance, &chances);
        change.significance = significance(&change);
        changes.push(change);
    }
    changes.sort_by_key(|one| {
        let place = ["critical", "warning", "info", "none"].iter().position(|name| *name == one.significance);
        (place, one.service_id.clone(), one.metric_name.clone())
    });
    let has = |name: &str| changes.iter().any(|one| one.significance == name);
    let is_alone = circumstances.overlaps.is_empty();
    let is_known = changes.iter().any(|one| is_critical(one.meaning.family) && one.effective_points >= 8.0);
    let is_bad = has("critical") || has("warning");
    let is_crash_alone = circumstances.crash_overlaps.is_empty();
    let verdict = if circumstances.went_wrong.is_some() || (circumstances.crashed.is_some() && is_crash_alone) {
        Verdict::Failed
    } else if circumstances.crashed.is_some() || circumstances.is_running || (is_bad && !is_alone) {
        Verdict::Pending
    } else if has("critical") {
        Verdict::Failed
    } else if is_bad {
        Verdict::Degraded
    } else if is_known {
        Verdict::Success
    } else {
        Verdict::Pending
    };
    let impact_score = (verdict != Verdict::Pending).then(|| 1.0 - changes.iter().map(left).product::<f64>());
    Judged { verdict, look_minutes, impact_score, changes }
}
