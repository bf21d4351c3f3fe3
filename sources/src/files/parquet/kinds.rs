//! The type of a parquet column, from its physical and logical type, and the fields that accept it.

use crate::record::fields::Field;
use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use ::parquet::schema::types::ColumnDescriptor;

/// How the values of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    HalfFloat,
    /// A whole number with this many decimal places.
    Decimal(u32),
    /// Days since 1970.
    Date,
    /// A count since 1970 with this many units per millisecond; a timestamp without a zone is UTC.
    Time {
        per_ms: i64,
    },
    /// The time of old writers: a day and nanoseconds.
    Int96,
    Text,
    Uuid,
}

impl Kind {
    /// What a column holds; the error names a column that cannot be this field.
    pub(super) fn of(field: Field, column: &ColumnDescriptor) -> Result<Kind, String> {
        let (physical, logical, converted) =
            (column.physical_type(), column.logical_type_ref(), column.converted_type());
        let is_decimal = matches!(logical, Some(LogicalType::Decimal { .. })) || converted == ConvertedType::DECIMAL;
        let kind = match physical {
            _ if is_decimal => match logical {
                Some(LogicalType::Decimal { scale, .. }) => u32::try_from(*scale).ok().map(Kind::Decimal),
                _ => u32::try_from(column.type_scale()).ok().map(Kind::Decimal),
            },
            Type::BOOLEAN => Some(Kind::Bool),
            Type::INT32 | Type::INT64 => whole(logical, converted),
            Type::INT96 => Some(Kind::Int96),
            Type::FLOAT | Type::DOUBLE => Some(Kind::Float),
            Type::BYTE_ARRAY => Some(Kind::Text),
            Type::FIXED_LEN_BYTE_ARRAY => Some(match logical {
                Some(LogicalType::Uuid) => Kind::Uuid,
                Some(LogicalType::Float16) => Kind::HalfFloat,
                _ => Kind::Text,
            }),
        };
        kind.filter(|kind| kind.may_be(field)).ok_or_else(|| {
            let logical = logical.map_or(String::new(), |logical| format!(" ({logical:?})"));
            format!("column {} has the type {physical}{logical}, which it cannot have", field.name())
        })
    }

    fn may_be(self, field: Field) -> bool {
        let is_number = [Field::Timestamp, Field::Count, Field::IntervalSeconds, Field::Version, Field::Withdrawn]
            .contains(&field)
            || Field::STATISTICS.contains(&field);
        match self {
            Kind::Text => true,
            // secondary data of an event: any type is shown as text
            Kind::Bool => matches!(field, Field::Withdrawn | Field::Severity),
            Kind::Int | Kind::Uint | Kind::Decimal(_) | Kind::Uuid => field != Field::Metadata,
            Kind::Float | Kind::HalfFloat => is_number || field == Field::Severity,
            Kind::Date | Kind::Time { .. } | Kind::Int96 => field == Field::Timestamp,
        }
    }
}

/// The meaning of whole numbers; `None` for a time of day.
fn whole(logical: Option<&LogicalType>, converted: ConvertedType) -> Option<Kind> {
    let time = |per_ms| Some(Kind::Time { per_ms });
    match logical {
        Some(LogicalType::Date) => Some(Kind::Date),
        Some(LogicalType::Timestamp { unit: TimeUnit::MILLIS, .. }) => time(1),
        Some(LogicalType::Timestamp { unit: TimeUnit::MICROS, .. }) => time(1_000),
        Some(LogicalType::Timestamp { unit: TimeUnit::NANOS, .. }) => time(1_000_000),
        Some(LogicalType::Time { .. }) => None,
        Some(LogicalType::Integer { is_signed, .. }) => Some(if *is_signed { Kind::Int } else { Kind::Uint }),
        _ => match converted {
            ConvertedType::DATE => Some(Kind::Date),
            ConvertedType::TIMESTAMP_MILLIS => time(1),
            ConvertedType::TIMESTAMP_MICROS => time(1_000),
            ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => None,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                Some(Kind::Uint)
            }
            _ => Some(Kind::Int),
        },
    }
}
