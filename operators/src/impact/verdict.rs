//! The verdict on a deployment: success, degraded, failed, or pending with the reason why it is.

use super::ranks::{Comparison, above, compare, median, q_values};
use super::windows::{LOOKS_MIN, Moment, Series, Windows};
use model::meaning::{Better, Family, Meaning};
use model::time::{TimeMs, format_duration_ms};
use serde::Serialize;

/// A change is called one from this q on.
const Q_MAX: f64 = 0.05;
/// A critical metric fails the deployment from this q on.
const Q_FAILED_MAX: f64 = 0.01;
/// Cliff's delta of a medium and of a large effect.
const DELTA: (f64, f64) = (0.33, 0.474);
/// A change is tolerated up to this share of the value before.
pub const TOLERANCE: f64 = 0.25;
/// A smaller change is none, however sure.
pub const SLIGHT: f64 = 0.05;
/// What a reason says before the ids of deployments that may be the cause as well.
pub const BLAMED: &str = ", which may belong to an overlapping deployment: ";
/// Independent points on both sides that a success needs.
pub const EFFECTIVE_MIN: f64 = 8.0;

/// What became of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing got worse.
    Success,
    /// Something got worse.
    Degraded,
    /// Something that matters got much worse, or the deployment itself failed.
    Failed,
    /// Too little is known.
    Pending,
}

impl Verdict {
    /// The one of this name.
    pub fn of_name(name: &str) -> Option<Verdict> {
        [Verdict::Success, Verdict::Degraded, Verdict::Failed, Verdict::Pending]
            .into_iter()
            .find(|one| one.as_str() == name)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Success => "success",
            Verdict::Degraded => "degraded",
            Verdict::Failed => "failed",
            Verdict::Pending => "pending",
        }
    }
}

/// The impact of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Impact {
    /// What became of it.
    #[serde(rename = "overall_status")]
    pub verdict: Verdict,
    /// Why.
    pub verdict_reason: String,
    /// 0 to 1; none while pending.
    pub impact_score: Option<f64>,
    /// Minutes after the end up to which metrics count; none before the first look.
    pub look_minutes: Option<i64>,
    /// Metric by metric, the worst first.
    pub changes: Vec<MetricImpact>,
}

/// One metric before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricImpact {
    /// The service.
    pub service_id: String,
    /// The metric.
    pub metric_name: String,
    /// Its median before.
    pub before_value: f64,
    /// Its median after, without what clock time and sibling explain.
    pub after_value: f64,
    /// The shift in percent of the value before; none where that is 0.
    pub percent_change: Option<f64>,
    /// The shift, and its 95 % interval.
    pub change: f64,
    /// Low end of it.
    pub change_low: f64,
    /// High end of it.
    pub change_high: f64,
    /// Share of chance findings among changes at least this sure; 1 where neither direction is known to be worse.
    pub q_value: f64,
    /// Cliff's delta, -1 to 1.
    pub cliffs_delta: f64,
    /// `critical`, `warning`, `info` or `none`.
    pub significance: &'static str,
    /// Buckets on the smaller side.
    pub sample_count: usize,
    /// Independent points that they are worth.
    pub effective_points: f64,
    /// What was taken off: `time_of_day`, the usual course of the day; `sibling`, what a sibling surely did as well.
    pub adjusted_for: Vec<&'static str>,
    /// What is known of the metric.
    #[serde(skip)]
    pub meaning: Meaning,
}

/// One series of the service.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The service.
    pub service_id: String,
    /// The metric.
    pub metric_name: String,
    /// Its unit, and which direction is better.
    pub meaning: Meaning,
    /// Its values.
    pub series: Series,
    /// The same metric of a sibling: another environment of the application without a deployment then.
    pub sibling: Option<Series>,
}

/// What is known of the deployment itself.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// Its time.
    pub moment: Moment,
    /// Whether no end has been reported.
    pub is_running: bool,
    /// `failed` or `rolled back`, if it was.
    pub went_wrong: Option<&'static str>,
    /// That its service crashed in its window, if it did: `its service crashed 4m after the start (oom e-1)`.
    pub crashed: Option<String>,
    /// Other deployments of the colony whose windows overlap, for people.
    pub overlaps: Vec<String>,
    /// Those of them that had begun when its service crashed; without a crash none.
    pub crash_overlaps: Vec<String>,
    /// Other deployments of the service, in its colony or in that of the sibling: their days are not usual ones.
    pub others: Vec<Moment>,
    /// Up to when metrics are known.
    pub known_to: Option<TimeMs>,
}

/// The impact on `watched`.
pub fn judge(circumstances: &Circumstances, watched: &[Watched]) -> Impact {
    let look = circumstances.known_to.and_then(|now| circumstances.moment.look_min(now));
    let mut changes = look.map_or(Vec::new(), |look| changes(circumstances, watched, look));
    // the reason names the worst
    sort(&mut changes);
    Impact::new(verdict((circumstances, watched), look, &changes), look, changes)
}

/// The significances, the worst first.
pub const SIGNIFICANCES: [&str; 4] = ["critical", "warning", "info", "none"];

/// The worst first, then by service and metric.
fn sort(changes: &mut [MetricImpact]) {
    changes.sort_by(|a, b| {
        let rank = |one: &MetricImpact| SIGNIFICANCES.iter().position(|it| *it == one.significance);
        (rank(a), &a.service_id, &a.metric_name).cmp(&(rank(b), &b.service_id, &b.metric_name))
    });
}

/// 0 to 1: 1 less the product of what each metric leaves.
fn score(changes: &[MetricImpact]) -> f64 {
    1.0 - changes.iter().map(|one| 1.0 - weight(one.meaning.family) * severity(one)).product::<f64>()
}

impl Impact {
    /// Of a verdict with its reason, and metrics in any order.
    pub fn new(
        (verdict, verdict_reason): (Verdict, String),
        look_minutes: Option<i64>,
        mut changes: Vec<MetricImpact>,
    ) -> Impact {
        sort(&mut changes);
        let impact_score = (verdict != Verdict::Pending).then(|| score(&changes));
        Impact { verdict, verdict_reason, impact_score, look_minutes, changes }
    }

    /// How much worse the metrics got, 0 to 1, whatever the verdict.
    pub fn score(&self) -> f64 {
        score(&self.changes)
    }
}

fn changes(circumstances: &Circumstances, watched: &[Watched], look: i64) -> Vec<MetricImpact> {
    let (moment, others) = (circumstances.moment, circumstances.others.as_slice());
    let mut changes = Vec::new();
    let mut chances = Vec::new();
    for one in watched {
        let windows = moment.windows(&one.series, look);
        let mut explained = 0.0;
        let mut adjusted_for = Vec::new();
        let usual = moment.usual_rise(&one.series, look, others);
        if let Some(usual) = usual {
            explained += usual;
            adjusted_for.push("time_of_day");
        }
        let rise = one.sibling.as_ref().and_then(|sibling| sibling_rise(circumstances, sibling, &windows.before, look));
        if let Some(rise) = rise.filter(|rise| *rise != 0.0) {
            explained += rise;
            adjusted_for.push("sibling");
        }
        let (before, after) = (median(&windows.before), windows.after.len());
        let sample_count = windows.before.len().min(after);
        let adjusted = windows.without(explained);
        let Some(found) = compare(&adjusted.before, &adjusted.after) else { continue };
        let meaning = one.meaning;
        // each of four looks gets a quarter of the error rate
        chances.push(direction(meaning).map_or(1.0, |sign| (above(sign * found.z) * LOOKS_MIN.len() as f64).min(1.0)));
        changes.push(MetricImpact {
            service_id: one.service_id.clone(),
            metric_name: one.metric_name.clone(),
            before_value: before,
            after_value: median(&adjusted.after),
            percent_change: (before != 0.0).then(|| found.shift / before.abs() * 100.0),
            change: found.shift,
            change_low: found.interval.0,
            change_high: found.interval.1,
            q_value: 1.0,
            cliffs_delta: found.delta,
            significance: "none",
            sample_count,
            effective_points: effective(&found),
            adjusted_for,
            meaning,
        });
    }
    for (change, q_value) in changes.iter_mut().zip(q_values(&chances)) {
        change.q_value = q_value;
        change.significance = significance(change);
    }
    changes
}

/// How much the metric surely rose in a sibling beyond its own usual rise, in proportion to the level here: the end of the
/// 95 % interval that is nearer to 0, and 0 where the interval has both signs. A noisy sibling then explains nothing.
fn sibling_rise(circumstances: &Circumstances, sibling: &Series, before: &[f64], look: i64) -> Option<f64> {
    let moment = circumstances.moment;
    let windows = moment.windows(sibling, look);
    // too few points explain nothing
    windows.rise()?;
    let level = median(&windows.before);
    let own = windows.without(moment.usual_rise(sibling, look, &circumstances.others).unwrap_or(0.0));
    let (low, high) = compare(&own.before, &own.after)?.interval;
    let sure = if low > 0.0 { low } else { high.min(0.0) };
    (level != 0.0).then(|| sure / level.abs() * median(before).abs())
}

fn effective(found: &Comparison) -> f64 {
    found.effective.0.min(found.effective.1)
}

/// +1 where more is worse, -1 where less is.
pub fn direction(meaning: Meaning) -> Option<f64> {
    match meaning.better {
        Better::Lower => Some(1.0),
        Better::Higher => Some(-1.0),
        Better::Unknown => None,
    }
}

/// The share by which it got worse; negative if it got better.
fn worse_share(change: &MetricImpact) -> f64 {
    let Some(sign) = direction(change.meaning) else { return 0.0 };
    match change.before_value.abs() {
        0.0 if sign * change.change > 0.0 => f64::INFINITY,
        0.0 => 0.0,
        before => sign * change.change / before,
    }
}

/// Whether a change of such a metric may fail a deployment.
pub fn is_critical(family: Family) -> bool {
    matches!(family, Family::Latency | Family::Errors)
}

fn weight(family: Family) -> f64 {
    match family {
        Family::Latency | Family::Errors => 1.0,
        Family::Throughput | Family::Saturation => 0.5,
        Family::Other => 0.25,
    }
}

fn severity(change: &MetricImpact) -> f64 {
    if change.q_value > Q_MAX {
        return 0.0;
    }
    let delta = direction(change.meaning).unwrap_or(0.0) * change.cliffs_delta;
    delta.max(0.0) * (worse_share(change) / (2.0 * TOLERANCE)).clamp(0.0, 1.0)
}

fn significance(change: &MetricImpact) -> &'static str {
    let delta = direction(change.meaning).unwrap_or(0.0) * change.cliffs_delta;
    let share = worse_share(change);
    let is_large = delta >= DELTA.1 && share >= 2.0 * TOLERANCE && change.q_value <= Q_FAILED_MAX;
    if is_large && is_critical(change.meaning.family) {
        "critical"
    } else if change.q_value <= Q_MAX && delta >= DELTA.0 && share >= TOLERANCE {
        "warning"
    } else if change.q_value <= Q_MAX && share >= SLIGHT {
        "info"
    } else {
        "none"
    }
}

/// Whether metrics are known before it, and none within the look after it.
fn have_ended(moment: Moment, watched: &[Watched], look: i64) -> bool {
    let windows: Vec<Windows> = watched.iter().map(|one| moment.windows(&one.series, look)).collect();
    windows.iter().any(|one| !one.before.is_empty()) && windows.iter().all(|one| one.after.is_empty())
}

/// The verdict for what got worse, unless one of these other deployments may be the cause of it.
fn blamed(overlaps: &[String], verdict: Verdict, what: String) -> (Verdict, String) {
    if overlaps.is_empty() {
        return (verdict, what);
    }
    (Verdict::Pending, format!("{what}{BLAMED}{}", overlaps.join(", ")))
}

fn verdict(
    (circumstances, watched): (&Circumstances, &[Watched]),
    look: Option<i64>,
    changes: &[MetricImpact],
) -> (Verdict, String) {
    if let Some(what) = circumstances.went_wrong {
        return (Verdict::Failed, format!("the deployment itself {what}"));
    }
    if let Some(crashed) = &circumstances.crashed {
        return blamed(&circumstances.crash_overlaps, Verdict::Failed, crashed.clone());
    }
    if circumstances.is_running {
        return (Verdict::Pending, "no end has been reported".to_owned());
    }
    let Some(look) = look else {
        let reason = match circumstances.known_to {
            None => "its service has no metrics".to_owned(),
            Some(known) => {
                let after = format_duration_ms((known - circumstances.moment.end).max(0));
                format!("metrics reach only {after} after its end; the first look is after {} minutes", LOOKS_MIN[0])
            }
        };
        return (Verdict::Pending, reason);
    };
    let worse: Vec<&MetricImpact> =
        changes.iter().filter(|one| ["critical", "warning"].contains(&one.significance)).collect();
    let named = |one: &MetricImpact| match one.percent_change {
        Some(percent) => format!("{} changed by {percent:+.1}%", one.metric_name),
        None => format!("{} rose from 0", one.metric_name),
    };
    if let Some(first) = worse.first() {
        let verdict = if first.significance == "critical" { Verdict::Failed } else { Verdict::Degraded };
        return blamed(&circumstances.overlaps, verdict, named(first));
    }
    let is_known = |one: &&MetricImpact| is_critical(one.meaning.family) && one.effective_points >= EFFECTIVE_MIN;
    match changes.iter().find(is_known) {
        Some(_) => (Verdict::Success, format!("nothing got worse within {look} minutes")),
        None if have_ended(circumstances.moment, watched, look) => {
            (Verdict::Pending, format!("its metrics ended: there are none within {look} minutes after it"))
        }
        None => (
            Verdict::Pending,
            format!(
                "no latency or error metric has {EFFECTIVE_MIN} independent points before and within {look} minutes after it"
            ),
        ),
    }
}
