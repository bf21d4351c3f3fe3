//! The text why a metric pair is not confirmed, and what is missing.

use super::evidence::points_for;
use super::finding::series_ref;
use super::params::{COVERAGE_MIN, MetricParams, WALK_MS};
use super::relation::Relation;
use super::row::MissingRow;
use libm::{ceil, floor, log};
use model::time::{DAY_MS, HOUR_MS, MINUTE_MS, format_duration_ms};

/// Longer windows are not advised.
const WINDOW_MAX_HOURS: f64 = 24.0 * 90.0;

/// What the evidence of a pair is measured against at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    /// Pairs tested.
    pub(super) tested: usize,
    /// Of these, how many reach the false-discovery rate.
    pub(super) declared: usize,
}

impl Bar {
    /// Logarithm of the e-value with which a pair would be declared beside those that are.
    fn log_needed(self, rate: f64) -> f64 {
        log(self.tested.max(1) as f64 / (rate * (self.declared + 1) as f64))
    }
}

/// The reason of a pair that is measured at present.
pub(super) fn reason(
    relation: &Relation<'_>,
    explained: Option<&str>,
    present: bool,
    bar: Bar,
    params: &MetricParams,
) -> String {
    if !present {
        // rounded down: a value below the threshold never reads as the threshold
        let strongest = floor(100.0 * relation.strongest) / 100.0;
        return format!("|r| = {strongest:.2} is below {:.2}, which it must reach again", params.threshold);
    }
    match explained {
        Some(explained) => in_words(explained, relation),
        None => too_few_points(relation, bar, params),
    }
}

fn in_words(explained: &str, relation: &Relation<'_>) -> String {
    match explained.split_once(':') {
        Some(("mirror", _)) => "the other direction is stronger".to_owned(),
        Some(("common_cause", "shared_load")) => "both follow the load that the whole fleet shares".to_owned(),
        Some(("common_cause", cause)) => format!("both follow {cause}"),
        Some(("mediator", between)) => format!("goes by way of {between}"),
        _ => match explained {
            "few_points" => "rests on a few extreme points or on one part of the window".to_owned(),
            "daily_cycle" => {
                format!("r = {:.2} without the usual value of the time of day", relation.window.level.coefficient.0)
            }
            "co_moving" => "runs as well the other way: no direction".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// How many independent points there are, and after how many days or in which window there would be enough.
fn too_few_points(relation: &Relation<'_>, bar: Bar, params: &MetricParams) -> String {
    let evidence = &relation.evidence;
    let window = format_duration_ms(params.window_ms);
    let windows = match evidence.windows {
        1 => window,
        several => format!("{several} windows of {window}"),
    };
    let points = match evidence.effective_points.round() {
        1.0 => "1 independent point".to_owned(),
        points => format!("{points:.0} independent points"),
    };
    let has = format!("{points} in {windows}, judged r = {:.2}", evidence.coefficient);
    let lags = 2 * params.lag_slots(relation.row.step_ms) + 1;
    let needed = points_for(evidence.coefficient, lags, bar.log_needed(params.false_discovery_rate));
    // three points of each window say nothing
    let each = (evidence.effective_points - 3.0) / evidence.windows as f64;
    let Some(more) = needed.map(|needed| needed - evidence.effective_points).filter(|more| *more > 0.0 && each > 0.0)
    else {
        return has;
    };
    let more_windows = ceil(more / each);
    let held_windows = WALK_MS / params.window_ms.max(DAY_MS);
    if evidence.windows as f64 + more_windows <= held_windows as f64 {
        let more_ms = more_windows as i64 * params.window_ms.max(DAY_MS);
        return format!("{has}; about {} more needed at this rate", format_duration_ms(more_ms));
    }
    let hours = ceil(params.window_ms as f64 / HOUR_MS as f64 * (evidence.windows as f64 + more_windows));
    if hours > WINDOW_MAX_HOURS {
        return has;
    }
    format!("{has}; a metric_window of {} would do", format_duration_ms(hours as i64 * HOUR_MS))
}

/// Why a pair that was seen cannot be computed at present.
pub(super) fn not_observed(missing: Option<&MissingRow>, params: &MetricParams) -> String {
    let window = format_duration_ms(params.window_ms);
    let needed = format!("{:.0} % of the last {window} is needed", 100.0 * COVERAGE_MIN);
    let Some(row) = missing else { return format!("too little is observed at present: {needed}") };
    let ends = [(&row.first, row.first_observed_ms), (&row.second, row.second_observed_ms)];
    let short = ends.iter().filter(|(_, ms)| (*ms as f64) < COVERAGE_MIN * params.window_ms as f64);
    match short.min_by_key(|(_, observed_ms)| *observed_ms) {
        Some((key, observed_ms)) => {
            format!("{} has {} of data in the last {window}: {needed}", series_ref(key), data_of(*observed_ms))
        }
        None => format!("too few times at which both have data, or one of them does not move: {needed}"),
    }
}

fn data_of(ms: i64) -> String {
    if ms < MINUTE_MS { "nothing".to_owned() } else { format_duration_ms(ms) }
}
