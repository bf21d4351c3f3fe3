//! Filters: which conditions of a statement a store answers exactly. Any other is evaluated above the store.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use model::derived::Value;
use model::real::Real;
use model::time::TimeMs;
use sinks::scan::{COMPARISONS_MAX, Comparison, Condition, TEXT_BYTES_MAX};
use sinks::schema::{Kind, Table};

/// Times that every store has a type for: 1970 to 2200.
const TIMES_MS: std::ops::Range<i64> = 0..7_258_118_400_000;

/// The condition that means exactly this; `None` if there is none.
pub(super) fn condition(expr: &Expr, table: &Table) -> Option<Condition> {
    translated(expr, table).filter(|condition| condition.comparisons() <= COMPARISONS_MAX)
}

fn translated(expr: &Expr, table: &Table) -> Option<Condition> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(Condition::All(vec![translated(left, table)?, translated(right, table)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Condition::Any(vec![translated(left, table)?, translated(right, table)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left, table), column(right, table)) {
            (Some(place), None) => compared(place, comparison(*op)?, right, table),
            (None, Some(place)) => compared(place, turned(comparison(*op)?), left, table),
            _ => None,
        },
        Expr::Between(Between { expr, negated, low, high }) => {
            let place = column(expr, table)?;
            let (first, second) = match negated {
                false => (Comparison::GreaterOrEqual, Comparison::LessOrEqual),
                true => (Comparison::Less, Comparison::Greater),
            };
            let parts = vec![compared(place, first, low, table)?, compared(place, second, high, table)?];
            Some(if *negated { Condition::Any(parts) } else { Condition::All(parts) })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let place = column(expr, table)?;
            let values = list.iter().map(|item| literal(item, table.columns[place].1)).collect::<Option<Vec<_>>>()?;
            Some(match negated {
                false => Condition::IsOneOf(place, values),
                true => {
                    let differs = |value| Condition::Compare(place, Comparison::NotEqual, value);
                    // of an absent value nothing is known, which excludes it as a comparison does
                    let known = std::iter::once(Condition::IsPresent(place));
                    Condition::All(known.chain(values.into_iter().map(differs)).collect())
                }
            })
        }
        Expr::IsNull(inner) => column(inner, table).map(Condition::IsAbsent),
        Expr::IsNotNull(inner) => column(inner, table).map(Condition::IsPresent),
        Expr::Column(_) => truth(expr, table, true),
        Expr::IsTrue(inner) => truth(inner, table, true),
        // of a column, whose absent values are excluded; NOT (late IS TRUE) holds for them
        Expr::Not(inner) | Expr::IsFalse(inner) => truth(inner, table, false),
        _ => None,
    }
}

fn column(expr: &Expr, table: &Table) -> Option<usize> {
    let Expr::Column(column) = expr else { return None };
    table.columns.iter().position(|(name, _)| *name == column.name)
}

/// A column of truths that has this one.
fn truth(expr: &Expr, table: &Table, truth: bool) -> Option<Condition> {
    let place = column(expr, table).filter(|place| table.columns[*place].1 == Kind::Truth)?;
    Some(Condition::Compare(place, Comparison::Equal, Value::Truth(truth)))
}

fn compared(place: usize, comparison: Comparison, value: &Expr, table: &Table) -> Option<Condition> {
    Some(Condition::Compare(place, comparison, literal(value, table.columns[place].1)?))
}

fn comparison(op: Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::LessOrEqual,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The comparison with its sides exchanged.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal | Comparison::NotEqual => comparison,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// A value of exactly the column's type that every store compares as Arrow does.
fn literal(expr: &Expr, kind: Kind) -> Option<Value> {
    let Expr::Literal(value, _) = expr else { return None };
    match (kind, value) {
        (
            Kind::Text,
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
        ) => (text.len() <= TEXT_BYTES_MAX && !text.contains('\0')).then(|| Value::Text(text.clone())),
        (Kind::Time, ScalarValue::TimestampMillisecond(Some(ms), Some(zone))) if **zone == *"UTC" => {
            TIMES_MS.contains(ms).then_some(Value::Time(TimeMs(*ms)))
        }
        // Arrow orders a zero with a sign before one without
        (Kind::Real, ScalarValue::Float64(Some(real))) => {
            (real.is_finite() && !(*real == 0.0 && real.is_sign_negative())).then_some(Value::Real(Real(*real)))
        }
        (Kind::I32, ScalarValue::Int32(Some(number))) => Some(Value::Whole((*number).into())),
        (Kind::I64, ScalarValue::Int64(Some(number))) => Some(Value::Whole(*number)),
        (Kind::U32, ScalarValue::UInt32(Some(number))) => Some(Value::Count((*number).into())),
        (Kind::U64, ScalarValue::UInt64(Some(number))) => Some(Value::Count(*number)),
        (Kind::Truth, ScalarValue::Boolean(Some(truth))) => Some(Value::Truth(*truth)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::stored_tables;
    use datafusion::logical_expr::{col, in_list, lit};

    fn left(table: &str, expr: &Expr) -> bool {
        stored_tables().find(|it| it.name == table).is_some_and(|table| condition(expr, table).is_some())
    }

    #[test]
    fn what_every_store_compares_alike_is_left_to_it() {
        let time = |zone: Option<&str>| {
            Expr::Literal(ScalarValue::TimestampMillisecond(Some(5), zone.map(|zone| zone.into())), None)
        };
        for expr in [
            col("service_id").eq(lit("api")),
            lit("api").lt(col("service_id")),
            col("service_id").eq(lit("")),
            in_list(col("sample_count"), vec![lit(1_u64), lit(2_u64)], true),
            col("timestamp").gt_eq(time(Some("UTC"))),
            col("p95").between(lit(0.0), lit(1e300)),
            col("p95").is_null().or(col("late")).or(!col("late")),
            col("late").is_true().and(col("late").is_false()),
        ] {
            assert!(left("federated_metrics", &expr), "{expr}");
        }
        let nanos = ScalarValue::TimestampNanosecond(Some(5_000_001), Some("UTC".into()));
        for expr in [
            col("service_id").like(lit("a%")),
            col("service_id").eq(lit("a\0")),
            col("service_id").eq(lit("x".repeat(TEXT_BYTES_MAX + 1))),
            col("service_id").eq(col("metric_name")),
            in_list(col("service_id"), vec![lit("api"), Expr::Literal(ScalarValue::Utf8(None), None)], false),
            // not of the column's type: a cast decides
            col("sample_count").gt(lit(1_i64)),
            col("interval_seconds").eq(lit(60_u64)),
            col("timestamp").gt(Expr::Literal(nanos, None)),
            col("timestamp").gt(time(None)),
            col("timestamp").gt(time(Some("+01:00"))),
            // what stores order in other ways
            col("p95").gt(lit(-0.0)),
            col("p95").eq(lit(f64::NAN)),
            col("p95").lt(lit(f64::INFINITY)),
            // these hold for absent values
            !col("late").is_true(),
            col("late").is_true().is_false(),
            col("late").is_not_true(),
            !col("p95").gt(lit(1.0)),
            // one part of it is evaluated above
            col("late").or(col("service_id").like(lit("a%"))),
        ] {
            assert!(!left("federated_metrics", &expr), "{expr}");
        }
        let many = (0..=COMPARISONS_MAX as u64).map(lit).collect();
        assert!(!left("federated_metrics", &in_list(col("version"), many, false)));
    }
}
