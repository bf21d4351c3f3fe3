//! Range: what of the conditions of a statement a colony is asked for.

use super::rows::Live;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use model::check::{FUTURE_SKEW_MS_MAX, TIMESTAMP_MIN};
use model::time::TimeMs;

/// Most names that a colony is asked for.
const NAMES_MAX: usize = 100;

/// What a colony is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Narrowed {
    from: Option<TimeMs>,
    to: Option<TimeMs>,
    pub(super) services: Vec<String>,
    pub(super) metrics: Vec<String>,
    /// The shortest and the longest interval of buckets that conditions leave, in seconds. No colony is asked for them:
    /// a colony that sends other buckets is noted.
    pub(super) intervals: Option<(u32, u32)>,
}

/// Who evaluates a condition: the colony alone, both, or only what is above it.
pub(super) fn support(filter: &Expr, live: Live) -> TableProviderFilterPushDown {
    match live {
        Live::Services | Live::Connections => TableProviderFilterPushDown::Unsupported,
        Live::Metrics | Live::Events if times(filter).is_some() => TableProviderFilterPushDown::Exact,
        Live::Metrics | Live::Events => match names(filter) {
            Some(("service_id", _)) => TableProviderFilterPushDown::Inexact,
            Some(("metric_name", _)) if live == Live::Metrics => TableProviderFilterPushDown::Inexact,
            _ if live == Live::Metrics && intervals(filter).is_some() => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        },
    }
}

impl Narrowed {
    /// What conditions that all hold leave.
    pub(super) fn of(filters: &[Expr]) -> Narrowed {
        let mut narrowed = Narrowed::default();
        for filter in filters {
            if let Some((from, to)) = times(filter) {
                narrowed.from = narrowed.from.max(from);
                narrowed.to = [narrowed.to, to].into_iter().flatten().min();
            } else if let Some((column, names)) = names(filter) {
                let kept = if column == "service_id" { &mut narrowed.services } else { &mut narrowed.metrics };
                // one of two lists is enough: both are checked again
                if kept.is_empty() {
                    *kept = names;
                }
            } else if let Some((shortest, longest)) = intervals(filter) {
                let (from, to) = narrowed.intervals.unwrap_or((0, u32::MAX));
                narrowed.intervals = Some((from.max(shortest), to.min(longest)));
            }
        }
        narrowed
    }

    /// The range of time, within that of all rows that can be accepted.
    pub(super) fn range(&self, now: TimeMs) -> (TimeMs, TimeMs) {
        let end = now + FUTURE_SKEW_MS_MAX + 1;
        (self.from.unwrap_or(TIMESTAMP_MIN).max(TIMESTAMP_MIN), self.to.unwrap_or(end).min(end))
    }
}

/// Whether a colony is asked for what a condition says.
pub(super) fn is_asked(filter: &Expr) -> bool {
    times(filter).is_some() || names(filter).is_some()
}

type Times = (Option<TimeMs>, Option<TimeMs>);

/// The range `from <= timestamp < to` that a condition is; `None` when it is another condition.
fn times(filter: &Expr) -> Option<Times> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            let ((from, to), (other_from, other_to)) = (times(left)?, times(right)?);
            Some((from.max(other_from), [to, other_to].into_iter().flatten().min()))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (is_time(left), is_time(right)) {
            (true, false) => compared(*op, time(right)?),
            (false, true) => compared(op.swap()?, time(left)?),
            _ => None,
        },
        Expr::Between(Between { expr, negated: false, low, high }) if is_time(expr) => {
            Some((Some(time(low)?), Some(time(high)? + 1)))
        }
        _ => None,
    }
}

fn is_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == "timestamp")
}

fn time(expr: &Expr) -> Option<TimeMs> {
    match expr {
        Expr::Literal(ScalarValue::TimestampMillisecond(Some(ms), _), _) => {
            // one more is a time too
            (ms.abs() < i64::MAX / 4).then_some(TimeMs(*ms))
        }
        _ => None,
    }
}

fn compared(op: Operator, time: TimeMs) -> Option<Times> {
    Some(match op {
        Operator::Eq => (Some(time), Some(time + 1)),
        Operator::GtEq => (Some(time), None),
        Operator::Gt => (Some(time + 1), None),
        Operator::Lt => (None, Some(time)),
        Operator::LtEq => (None, Some(time + 1)),
        _ => return None,
    })
}

/// The names that a column is one of.
fn names(filter: &Expr) -> Option<(&str, Vec<String>)> {
    let (column, values) = match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (&**left, &**right) {
            (Expr::Column(column), value) | (value, Expr::Column(column)) => (column, vec![text(value)?]),
            _ => return None,
        },
        // as the engine writes short lists
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((column, mut values), (other, more)) = (names(left)?, names(right)?);
            values.extend(more);
            return (column == other && values.len() <= NAMES_MAX).then_some((column, values));
        }
        Expr::InList(InList { expr, list, negated: false }) if !list.is_empty() && list.len() <= NAMES_MAX => {
            let Expr::Column(column) = &**expr else { return None };
            (column, list.iter().map(text).collect::<Option<Vec<_>>>()?)
        }
        _ => return None,
    };
    ["service_id", "metric_name"].contains(&column.name.as_str()).then_some((column.name.as_str(), values))
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text.clone()),
        _ => None,
    }
}

/// The shortest and the longest interval of buckets that a condition leaves, in seconds.
fn intervals(filter: &Expr) -> Option<(u32, u32)> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((from, to), (other_from, other_to)) = (intervals(left)?, intervals(right)?);
            Some((from.min(other_from), to.max(other_to)))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (op, seconds) = match (is_interval(left), is_interval(right)) {
                (true, false) => (*op, seconds(right)?),
                (false, true) => (op.swap()?, seconds(left)?),
                _ => return None,
            };
            match op {
                Operator::Eq => Some((seconds, seconds)),
                Operator::LtEq => Some((0, seconds)),
                Operator::Lt => seconds.checked_sub(1).map(|seconds| (0, seconds)),
                Operator::GtEq => Some((seconds, u32::MAX)),
                Operator::Gt => seconds.checked_add(1).map(|seconds| (seconds, u32::MAX)),
                _ => None,
            }
        }
        Expr::InList(InList { expr, list, negated: false }) if is_interval(expr) => {
            let listed = list.iter().map(seconds).collect::<Option<Vec<_>>>()?;
            listed.iter().min().copied().zip(listed.iter().max().copied())
        }
        _ => None,
    }
}

fn is_interval(expr: &Expr) -> bool {
    matches!(expr, Expr::Column(column) if column.name == "interval_seconds")
}

fn seconds(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::Literal(ScalarValue::UInt32(seconds), _) => *seconds,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TableProviderFilterPushDown::{Exact, Inexact, Unsupported};
    use datafusion::logical_expr::{col, in_list, lit};

    fn at(ms: i64) -> Expr {
        Expr::Literal(ScalarValue::TimestampMillisecond(Some(ms), Some("UTC".into())), None)
    }

    #[test]
    fn a_range_of_time_is_left_to_a_colony_and_names_are_checked_again() {
        for (filter, of_metrics, of_events) in [
            (col("timestamp").gt_eq(at(5)), Exact, Exact),
            (at(9).gt(col("timestamp")), Exact, Exact),
            (col("timestamp").between(at(5), at(9)), Exact, Exact),
            (col("timestamp").not_eq(at(5)), Unsupported, Unsupported),
            (col("timestamp").gt(at(5)).or(col("timestamp").lt(at(2))), Unsupported, Unsupported),
            (col("timestamp").gt(col("timestamp")), Unsupported, Unsupported),
            (col("service_id").eq(lit("api")), Inexact, Inexact),
            (in_list(col("service_id"), vec![lit("api"), lit("web")], false), Inexact, Inexact),
            (in_list(col("service_id"), vec![lit("api")], true), Unsupported, Unsupported),
            (col("service_id").not_eq(lit("api")), Unsupported, Unsupported),
            (col("metric_name").eq(lit("m")), Inexact, Unsupported),
            (col("metric_name").eq(lit("m")).or(col("service_id").eq(lit("m"))), Unsupported, Unsupported),
            (col("interval_seconds").lt_eq(lit(60_u32)), Inexact, Unsupported),
            (col("interval_seconds").gt(lit(60_u32)), Inexact, Unsupported),
            (col("interval_seconds").not_eq(lit(60_u32)), Unsupported, Unsupported),
            (col("p95").gt(lit(1.0)), Unsupported, Unsupported),
        ] {
            assert_eq!(support(&filter, Live::Metrics), of_metrics, "metrics: {filter}");
            assert_eq!(support(&filter, Live::Events), of_events, "events: {filter}");
            assert_eq!(support(&filter, Live::Services), Unsupported, "services: {filter}");
        }
    }

    #[test]
    fn conditions_narrow_one_another() {
        let now = TimeMs(1_800_000_000_000);
        let last = now + FUTURE_SKEW_MS_MAX + 1;
        assert_eq!(Narrowed::of(&[]).range(now), (TIMESTAMP_MIN, last));
        let day = now.0 - 86_400_000;
        let narrowed = Narrowed::of(&[
            col("timestamp").gt(at(day)),
            col("timestamp").lt_eq(at(day + 10)),
            col("timestamp").gt_eq(at(day - 5)),
            col("service_id").eq(lit("api")),
            col("service_id").eq(lit("web")),
            col("metric_name").eq(lit("m")).or(col("metric_name").eq(lit("n"))),
            in_list(col("interval_seconds"), vec![lit(60_u32), lit(300_u32)], false),
            col("interval_seconds").lt(lit(300_u32)),
        ]);
        assert_eq!(narrowed.range(now), (TimeMs(day + 1), TimeMs(day + 11)));
        assert_eq!(
            (narrowed.services, narrowed.metrics),
            (vec!["api".to_owned()], vec!["m".to_owned(), "n".to_owned()])
        );
        assert_eq!(narrowed.intervals, Some((60, 299)));
        let coarse = col("interval_seconds").eq(lit(900_u32)).or(lit(300_u32).lt(col("interval_seconds")));
        assert_eq!(Narrowed::of(&[coarse]).intervals, Some((301, u32::MAX)));
        // no colony is asked for a time that nobody can write
        let far = Narrowed::of(&[col("timestamp").lt(at(i64::MAX / 8)), col("timestamp").gt(at(-5))]);
        assert_eq!(far.range(now), (TIMESTAMP_MIN, last));
        let none = Narrowed::of(&[col("timestamp").lt(at(5))]).range(now);
        assert!(none.0 > none.1, "an empty range is not asked for: {none:?}");
    }
}
