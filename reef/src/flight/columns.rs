//! Columns: schemas of types that every client reads. Views, large texts, dictionaries and runs are how the engine
//! holds values, and some clients know none of them; what is advertised is then what is streamed.

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use std::sync::Arc;

/// The same columns, of plain types. Batches are cast to them when they are sent.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(plain_field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(plain_type(field.data_type())))
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(plain_field(item))
        }
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(plain_field(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, is_sorted) => DataType::Map(plain_field(entries), *is_sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_form_of_values_changes() {
        let nested = DataType::Struct(vec![Field::new("a", DataType::Utf8View, true)].into());
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let metadata = [("key".to_owned(), "value".to_owned())].into_iter().collect();
        let schema = Schema::new(vec![
            Field::new("text", DataType::Utf8View, false).with_metadata(metadata),
            Field::new("one_of", dictionary, true),
            Field::new_large_list("list", Field::new_list_field(nested, true), false),
            Field::new("count", DataType::UInt64, false),
            Field::new("joined", DataType::LargeUtf8, false),
            Field::new("bytes", DataType::LargeBinary, false),
        ]);
        let plain = plain(&schema);
        let types: Vec<String> = plain.fields().iter().map(|field| field.data_type().to_string()).collect();
        assert_eq!([&types[0], &types[1], &types[3]], ["Utf8", "Utf8", "UInt64"]);
        assert_eq!(types[4..], ["Utf8", "Binary"]);
        assert!(types[2].starts_with("List(") && types[2].contains("Utf8") && !types[2].contains("View"), "{types:?}");
        for (field, before) in plain.fields().iter().zip(schema.fields()) {
            let same = |field: &Field| (field.name().clone(), field.is_nullable(), field.metadata().clone());
            assert_eq!(same(field), same(before));
        }
    }
}
