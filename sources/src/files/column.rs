//! One arrow column behind the few types a record's cells have.

use super::record::{Cell, Field};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use model::time::{DAY_MS, SECOND_MS};
use std::collections::BTreeMap;

/// A column of one batch, its type reduced to what cells know.
pub(crate) enum Column {
    Ints {
        values: Int64Array,
        source: ArrayRef,
    },
    Floats(Float64Array),
    Texts(StringArray),
    Bools(BooleanArray),
    /// A struct or a map; only for `metadata`.
    Nested(ArrayRef),
}

impl Column {
    /// Whether a column of this type can hold this field; the error names both.
    pub(crate) fn check_type(field: Field, data_type: &DataType) -> Result<(), String> {
        let is_usable = match data_type {
            DataType::Dictionary(_, values) => return Column::check_type(field, values),
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
            DataType::Struct(_) | DataType::Map(..) => field == Field::Metadata,
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => field == Field::Timestamp,
            DataType::Boolean => field == Field::Withdrawn,
            kind if kind.is_integer() => field != Field::Metadata,
            kind if kind.is_floating() || matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
                let is_number =
                    [Field::Timestamp, Field::Count, Field::IntervalSeconds, Field::Version].contains(&field);
                is_number || Field::STATISTICS.contains(&field)
            }
            _ => false,
        };
        if is_usable {
            Ok(())
        } else {
            Err(format!("column {} has the type {data_type}, which it cannot have", field.name()))
        }
    }

    /// Reduces a column. The error says what is wrong with the file as a whole.
    pub(crate) fn new(field: Field, array: &ArrayRef) -> Result<Column, String> {
        Column::check_type(field, array.data_type())?;
        let converted =
            |to: &DataType| cast(array, to).map_err(|cause| format!("column {} cannot be read: {cause}", field.name()));
        let reduced = match array.data_type() {
            DataType::Dictionary(_, values) => return Column::new(field, &converted(values)?),
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Column::Texts(converted(&DataType::Utf8)?.as_string::<i32>().clone())
            }
            DataType::Boolean => Column::Bools(array.as_boolean().clone()),
            DataType::Struct(_) | DataType::Map(..) => Column::Nested(array.clone()),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                Column::Ints { values: milliseconds(array), source: array.clone() }
            }
            kind if kind.is_integer() => {
                let values = converted(&DataType::Int64)?.as_primitive().clone();
                Column::Ints { values, source: array.clone() }
            }
            _ => Column::Floats(converted(&DataType::Float64)?.as_primitive().clone()),
        };
        Ok(reduced)
    }

    /// The value of a row.
    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Column::Ints { values, .. } if values.is_valid(row) => Cell::Int(values.value(row)),
            // the reduction makes null of what does not fit
            Column::Ints { source, .. } if source.is_valid(row) => Cell::Unusable("a number out of range"),
            Column::Floats(values) if values.is_valid(row) => Cell::Float(values.value(row)),
            Column::Bools(values) if values.is_valid(row) => Cell::Bool(values.value(row)),
            Column::Texts(values) if values.is_valid(row) => Cell::Text(values.value(row)),
            Column::Nested(values) if values.is_valid(row) => Cell::Unusable("a nested value"),
            _ => Cell::Missing,
        }
    }
}

/// Timestamps of any unit as milliseconds since 1970, rounded down. Arrow stores zoned timestamps in UTC; timestamps
/// without a zone are taken to be UTC.
fn milliseconds(array: &ArrayRef) -> Int64Array {
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().unary_opt(|value| value.checked_mul(SECOND_MS))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().unary(|value| value)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().unary(|value| value.div_euclid(1_000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().unary(|value| value.div_euclid(1_000_000))
        }
        DataType::Date32 => array.as_primitive::<Date32Type>().unary(|value| i64::from(value) * DAY_MS),
        _ => array.as_primitive::<Date64Type>().unary(|value| value),
    }
}

/// Metadata of one row of a struct or map column: text as it is, other values as arrow prints them, nulls left out.
pub(crate) fn nested_metadata(array: &ArrayRef, row: usize) -> Result<BTreeMap<String, String>, String> {
    let mut metadata = BTreeMap::new();
    if array.is_null(row) {
        return Ok(metadata);
    }
    let options = FormatOptions::default();
    let shown = |values: &ArrayRef, index: usize| -> Result<Option<String>, String> {
        if values.is_null(index) {
            return Ok(None);
        }
        let formatter = ArrayFormatter::try_new(values, &options).map_err(|cause| format!("metadata: {cause}"))?;
        formatter.value(index).try_to_string().map(Some).map_err(|cause| format!("metadata: {cause}"))
    };
    match array.data_type() {
        DataType::Struct(fields) => {
            for (field, values) in fields.iter().zip(array.as_struct().columns()) {
                if let Some(value) = shown(values, row)? {
                    metadata.insert(field.name().clone(), value);
                }
            }
        }
        _ => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            for index in 0..entries.len() {
                if let (Some(key), Some(value)) = (shown(keys, index)?, shown(values, index)?) {
                    metadata.insert(key, value);
                }
            }
        }
    }
    Ok(metadata)
}
