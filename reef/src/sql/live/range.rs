//! Range: what of the conditions of a statement a colony is asked for.

use super::rows::Live;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use model::check::TIMESTAMP_MIN;
use model::time::{DAY_MS, TimeMs};

/// Most names that a colony is asked for.
const NAMES_MAX: usize = 100;

/// What a colony is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Narrowed {
    from: Option<TimeMs>,
    to: Option<TimeMs>,
    pub(super) services: Vec<String>,
    pub(super) metrics: Vec<String>,
}

/// Who evaluates a condition: the colony alone, both, or only what is above it.
pub(super) fn support(filter: &Expr, live: Live) -> TableProviderFilterPushDown {
    match live {
        Live::Services | Live::Connections => TableProviderFilterPushDown::Unsupported,
        Live::Metrics | Live::Events if times(filter).is_some() => TableProviderFilterPushDown::Exact,
        Live::Metrics | Live::Events => match names(filter) {
            Some(("service_id", _)) => TableProviderFilterPushDown::Inexact,
            Some(("metric_name", _)) if live == Live::Metrics => TableProviderFilterPushDown::Inexact,
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
            }
        }
        narrowed
    }

    /// The range of time; without an end that of all rows that a colony can have.
    pub(super) fn range(&self, now: TimeMs) -> (TimeMs, TimeMs) {
        (self.from.unwrap_or(TIMESTAMP_MIN).max(TIMESTAMP_MIN), self.to.unwrap_or(now + DAY_MS))
    }
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
