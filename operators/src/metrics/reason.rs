//! The text why a metric pair is not confirmed, and what is missing.

use super::params::MetricParams;
use super::row::FoundRow;
use super::stats::p_value;
use libm::ceil;
use model::time::{HOUR_MS, format_duration_ms};

/// Longer windows are not advised.
const WINDOW_MAX_HOURS: f64 = 24.0 * 90.0;
/// Largest number of points that is searched.
const POINTS_MAX: f64 = 1e7;

/// What p-values are measured against at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    /// Pairs tested.
    pub(super) tested: usize,
    /// Of these, how many reach the false-discovery rate.
    pub(super) declared: usize,
}

/// The reason of a pair whose |r| is within the threshold, or has left it.
pub(super) fn reason(
    row: &FoundRow,
    explained: Option<&str>,
    present: bool,
    bar: Bar,
    params: &MetricParams,
) -> String {
    if !present {
        return format!("|r| = {:.2} is below {:.2}", row.coefficient.0.abs(), params.leave());
    }
    match explained {
        Some(explained) => in_words(explained, row),
        None => too_few_points(row, bar, params),
    }
}

fn in_words(explained: &str, row: &FoundRow) -> String {
    match explained.split_once(':') {
        Some(("mirror", _)) => "the other direction is stronger".to_owned(),
        Some(("common_cause", "shared_load")) => "both follow the load that the whole fleet shares".to_owned(),
        Some(("common_cause", cause)) => format!("both follow {cause}"),
        Some(("mediator", between)) => format!("goes by way of {between}"),
        _ => match explained {
            "few_points" => "rests on a few extreme points or on one part of the window".to_owned(),
            "daily_cycle" => {
                format!("r = {:.2} without the usual value of the time of day", row.judged_coefficient.0)
            }
            "co_moving" => "runs as well the other way: no direction".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// How many independent points there are, and which window would hold enough.
fn too_few_points(row: &FoundRow, bar: Bar, params: &MetricParams) -> String {
    let has = format!(
        "{:.0} independent points in {}, judged r = {:.2}",
        row.effective_points.0,
        format_duration_ms(params.window_ms),
        row.judged_coefficient.0
    );
    let lags = 2 * params.lag_slots(row.step_ms) + 1;
    let p_needed = params.false_discovery_rate * (bar.declared + 1) as f64 / bar.tested.max(1) as f64;
    let is_enough = |points: f64| p_value(row.judged_coefficient.0, points, lags) <= p_needed;
    if !is_enough(POINTS_MAX) {
        return has;
    }
    // the p-value falls with the number of points
    let (mut low, mut high) = (3.0, POINTS_MAX);
    while high - low > 0.5 {
        let middle = (low + high) / 2.0;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let hours = ceil(params.window_ms as f64 / HOUR_MS as f64 * high / row.effective_points.0.max(1.0));
    if hours > WINDOW_MAX_HOURS {
        return has;
    }
    format!("{has}; a metric_window of {} would do", format_duration_ms(hours as i64 * HOUR_MS))
}
