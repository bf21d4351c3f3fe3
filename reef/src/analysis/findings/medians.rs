//! Medians of a metric before and after a moment, as columns of a statement, with their values.

use crate::impact::windows::{BEFORE_MS, Moment, WARM_UP_MS};
use crate::statement::{conditions, within};
use model::time::{MINUTE_MS, TimeMs};

/// What was measured of a metric.
pub(super) struct Medians<'a> {
    /// Its colony, service and name.
    pub names: [&'a str; 3],
    /// Before and after what.
    pub moment: Moment,
    /// Up to how many minutes after its end.
    pub look_minutes: i64,
    /// The median before.
    pub before: f64,
    /// The one after; none where something was taken off it, which rows do not have.
    pub after: Option<f64>,
}

/// The columns, and their values by name.
pub(super) fn columns(medians: &Medians<'_>) -> (String, Vec<(&'static str, String)>) {
    let [colony, service, metric] = medians.names;
    let equal = [("colony_id", colony), ("service_id", service), ("metric_name", metric)];
    let median = |from: TimeMs, to: TimeMs, name: &str| {
        let condition = [conditions(&equal), " AND ".to_owned(), within("timestamp", from, to)].concat();
        ["(SELECT median(coalesce(p95, mean)) FROM federated_metrics WHERE ", &condition, ") AS ", name].concat()
    };
    let (Moment { start, end }, look_ms) = (medians.moment, medians.look_minutes * MINUTE_MS);
    let before = median(start - BEFORE_MS.0, start - BEFORE_MS.1, "before_value");
    let value = ("before_value", medians.before.to_string());
    match medians.after {
        Some(after) => {
            let column = median(end + WARM_UP_MS, end + look_ms, "after_value");
            ([before, ", ".to_owned(), column].concat(), vec![value, ("after_value", after.to_string())])
        }
        None => (before, vec![value]),
    }
}
