//! Keys between tables: there are none. Stores keep rows that name each other, and enforce nothing of it.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

/// The primary keys of a table.
pub(super) fn primary() -> RecordBatch {
    none(&[
        ("catalog_name", DataType::Utf8, true),
        ("db_schema_name", DataType::Utf8, true),
        ("table_name", DataType::Utf8, false),
        ("column_name", DataType::Utf8, false),
        ("key_name", DataType::Utf8, true),
        ("key_sequence", DataType::Int32, false),
    ])
}

/// Keys of one table that another names.
pub(super) fn foreign() -> RecordBatch {
    none(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ])
}

fn none(columns: &[(&str, DataType, bool)]) -> RecordBatch {
    let field =
        |(name, data_type, is_nullable): &(&str, DataType, bool)| Field::new(*name, data_type.clone(), *is_nullable);
    RecordBatch::new_empty(Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())))
}
