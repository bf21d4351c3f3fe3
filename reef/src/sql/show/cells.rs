//! Cells: one value as text, and as JSON.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use datafusion::arrow::util::display::array_value_to_string;
use serde_json::{Number, Value};

/// The largest whole number that every program reads exactly.
const EXACT_MAX: u64 = 1 << 53;

/// One value as text; empty where there is none.
pub(super) fn text(column: &ArrayRef, row: usize) -> String {
    match json(column, row) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// One value as JSON. Numbers beyond 2^53, and floats that are no numbers, are texts.
pub(super) fn json(column: &ArrayRef, row: usize) -> Value {
    // a column of nulls has no list of them
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Value::Null;
    }
    let whole = |number: i64| match number.unsigned_abs() <= EXACT_MAX {
        true => Value::from(number),
        false => Value::from(number.to_string()),
    };
    let count = |number: u64| if number <= EXACT_MAX { Value::from(number) } else { Value::from(number.to_string()) };
    let real = |number: f64| Number::from_f64(number).map_or_else(|| Value::from(not_a_number(number)), Value::Number);
    match column.data_type() {
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        DataType::Int8 => whole(column.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => whole(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => whole(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => whole(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => count(column.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => count(column.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => count(column.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => count(column.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => real(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => real(column.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(unit, _) => Value::from(moment(column, *unit, row)),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| json(&items, item)).collect()
        }
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::from(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::from(column.as_string_view().value(row)),
        // a value that has no text is not taken for an empty one
        _ => Value::from(array_value_to_string(column, row).unwrap_or_else(|error| format!("ERROR: {error}"))),
    }
}

fn not_a_number(number: f64) -> &'static str {
    match number {
        number if number.is_nan() => "NaN",
        number if number > 0.0 => "Infinity",
        _ => "-Infinity",
    }
}

/// A time as RFC 3339 in UTC, with as many digits as it needs.
fn moment(column: &ArrayRef, unit: TimeUnit, row: usize) -> String {
    let (value, per_second) = match unit {
        TimeUnit::Second => (column.as_primitive::<TimestampSecondType>().value(row), 1),
        TimeUnit::Millisecond => (column.as_primitive::<TimestampMillisecondType>().value(row), 1_000),
        TimeUnit::Microsecond => (column.as_primitive::<TimestampMicrosecondType>().value(row), 1_000_000),
        TimeUnit::Nanosecond => (column.as_primitive::<TimestampNanosecondType>().value(row), 1_000_000_000),
    };
    let seconds = value.div_euclid(per_second);
    let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let whole = model::time::TimeMs(seconds.saturating_mul(1_000)).to_string();
    let whole = whole.trim_end_matches('Z').split('.').next().unwrap_or_default().to_owned();
    let digits = match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    };
    format!("{whole}{digits}Z")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sql::Table;
    use datafusion::arrow::array::{Int64Array, UInt64Array};
    use datafusion::arrow::record_batch::RecordBatch;
    use serde_json::json;
    use std::sync::Arc;

    /// A reader that takes every number of JSON as a double would round them.
    #[test]
    fn whole_numbers_keep_all_their_digits_in_every_form() {
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![1 << 53, (1 << 53) + 1, i64::MIN]));
        let count: ArrayRef = Arc::new(UInt64Array::from(vec![0, (1 << 53) + 1, u64::MAX]));
        let batch = RecordBatch::try_from_iter([("whole", whole), ("count", count)]).unwrap();
        let table = Table { schema: batch.schema(), batches: vec![batch] };
        let rows = [
            [json!(9_007_199_254_740_992_i64), json!(0)],
            [json!("9007199254740993"), json!("9007199254740993")],
            [json!("-9223372036854775808"), json!("18446744073709551615")],
        ];
        assert_eq!(table.json_rows(), rows);
        assert_eq!(
            table.ndjson().unwrap(),
            "{\"whole\":9007199254740992,\"count\":0}\n\
             {\"whole\":\"9007199254740993\",\"count\":\"9007199254740993\"}\n\
             {\"whole\":\"-9223372036854775808\",\"count\":\"18446744073709551615\"}\n"
        );
        assert_eq!(
            table.csv(),
            "whole,count\n9007199254740992,0\n9007199254740993,9007199254740993\n\
             -9223372036854775808,18446744073709551615\n"
        );
        assert!(table.page().ends_with("-9223372036854775808  18446744073709551615"), "{}", table.page());
    }
}
