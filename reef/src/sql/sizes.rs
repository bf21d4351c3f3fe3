//! Sizes: how many bytes rows have when each has its own values.
//!
//! Arrays share what they hold: a slice keeps its whole column, and a join repeats a text by pointing at it. What
//! counts for a limit is what a copy of the rows takes.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, GenericListViewArray, OffsetSizeTrait, RecordBatch};
use datafusion::arrow::datatypes::DataType;

/// What a cell takes beside its value.
const CELL_BYTES: usize = 16;
/// What is made of a row for a value of fixed size.
pub(super) const FIXED_BYTES: usize = 16;

/// Whether each value of a type takes the same.
pub(super) fn is_fixed(data_type: &DataType) -> bool {
    data_type.primitive_width().is_some() || matches!(data_type, DataType::Boolean | DataType::Null)
}

/// Bytes of a batch.
pub(super) fn of(batch: &RecordBatch) -> usize {
    of_rows(batch).into_iter().fold(0, usize::saturating_add)
}

/// Bytes of each row.
pub(super) fn of_rows(batch: &RecordBatch) -> Vec<usize> {
    let mut rows = vec![0_usize; batch.num_rows()];
    for column in batch.columns() {
        for (row, bytes) in rows.iter_mut().zip(of_values(column)) {
            *row = row.saturating_add(bytes);
        }
    }
    rows
}

/// Bytes of each text of a column, without what a cell takes beside it.
pub(super) fn of_texts(column: &ArrayRef) -> Vec<usize> {
    of_values(column).into_iter().map(|bytes| bytes.saturating_sub(CELL_BYTES)).collect()
}

/// Bytes of each value of a column.
fn of_values(column: &ArrayRef) -> Vec<usize> {
    if let Some(bytes) = of_items(column, of_values) {
        return bytes;
    }
    match column.data_type() {
        DataType::Utf8 => between(column.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => between(column.as_string::<i64>().value_offsets()),
        DataType::Binary => between(column.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => between(column.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => viewed(column.as_string_view().views()),
        DataType::BinaryView => viewed(column.as_binary_view().views()),
        DataType::Struct(_) => {
            let mut sums = vec![CELL_BYTES; column.len()];
            for part in column.as_struct().columns() {
                sums.iter_mut().zip(of_values(part)).for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
            }
            sums
        }
        other => match (column.as_any_dictionary_opt(), other.primitive_width()) {
            (Some(dictionary), _) if !dictionary.values().is_empty() => {
                let values = of_values(dictionary.values());
                dictionary.normalized_keys().into_iter().map(|key| values[key]).collect()
            }
            (_, Some(width)) => vec![CELL_BYTES + width; column.len()],
            // an even share of what all of them take
            (_, None) => vec![CELL_BYTES + column.get_array_memory_size() / column.len().max(1); column.len()],
        },
    }
}

/// How many rows an unnesting makes of each row at most: the items of all its lists, those of lists in lists counted.
pub(super) fn items_of_rows(batch: &RecordBatch) -> Vec<usize> {
    let mut rows = vec![1_usize; batch.num_rows()];
    for column in batch.columns() {
        for (row, items) in rows.iter_mut().zip(items(column)) {
            *row = row.saturating_add(items);
        }
    }
    rows
}

fn items(column: &ArrayRef) -> Vec<usize> {
    of_items(column, items_or_one).unwrap_or_else(|| vec![0; column.len()])
}

/// The items of lists in lists; what is no list is one item.
fn items_or_one(column: &ArrayRef) -> Vec<usize> {
    items(column).into_iter().map(|items| items.max(1)).collect()
}

/// Bytes between offsets.
fn between<O: OffsetSizeTrait>(offsets: &[O]) -> Vec<usize> {
    offsets.windows(2).map(|ends| CELL_BYTES + ends[1].as_usize() - ends[0].as_usize()).collect()
}

/// Bytes of views: their length is in the lowest 32 bits.
fn viewed(views: &[u128]) -> Vec<usize> {
    views.iter().map(|view| CELL_BYTES + (*view & u128::from(u32::MAX)) as usize).collect()
}

/// What the items of each list of a column have together; `None` where it has no lists.
fn of_items(column: &ArrayRef, of: fn(&ArrayRef) -> Vec<usize>) -> Option<Vec<usize>> {
    Some(match column.data_type() {
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            summed(lists.values(), lists.value_offsets(), of)
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            summed(lists.values(), lists.value_offsets(), of)
        }
        DataType::FixedSizeList(..) => {
            let lists = column.as_fixed_size_list();
            let length = usize::try_from(lists.value_length()).unwrap_or(0);
            in_ranges(of(lists.values()), (0..lists.len()).map(|row| (row.saturating_mul(length), length)))
        }
        DataType::ListView(_) => of_views(column.as_list_view::<i32>(), of),
        DataType::LargeListView(_) => of_views(column.as_list_view::<i64>(), of),
        _ => return None,
    })
}

/// The same of lists that may share items.
fn of_views<O: OffsetSizeTrait>(lists: &GenericListViewArray<O>, of: fn(&ArrayRef) -> Vec<usize>) -> Vec<usize> {
    let ranges = lists.value_offsets().iter().zip(lists.value_sizes());
    in_ranges(of(lists.values()), ranges.map(|(start, length)| (start.as_usize(), length.as_usize())))
}

/// The sum of each range, given by its start and its length.
fn in_ranges(each: Vec<usize>, ranges: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut sums = vec![0_usize];
    let mut sum = 0_usize;
    for one in each {
        sum = sum.saturating_add(one);
        sums.push(sum);
    }
    let up_to = |place: usize| sums[place.min(sums.len() - 1)];
    ranges.map(|(start, length)| up_to(start.saturating_add(length)).saturating_sub(up_to(start))).collect()
}

/// What the items of each list have together.
fn summed<O: OffsetSizeTrait>(items: &ArrayRef, offsets: &[O], of: fn(&ArrayRef) -> Vec<usize>) -> Vec<usize> {
    let (first, last) = match offsets {
        [first, .., last] => (first.as_usize(), last.as_usize()),
        _ => return Vec::new(),
    };
    let each = of(&items.slice(first, last - first));
    let sum = |ends: &[O]| each[ends[0].as_usize() - first..ends[1].as_usize() - first].iter().sum::<usize>();
    offsets.windows(2).map(sum).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::array::{
        BooleanArray, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array, ListArray, ListViewArray,
        RecordBatchOptions, StringArray, StringViewArray,
    };
    use datafusion::arrow::datatypes::{Field, Int32Type, Schema};
    use std::sync::Arc;

    fn values(column: impl Array + 'static) -> Vec<usize> {
        let column: ArrayRef = Arc::new(column);
        of_texts(&column)
    }

    #[test]
    fn each_value_counts_whatever_it_shares() {
        let text = "0123456789abcdef";
        assert_eq!(values(StringArray::from(vec![Some("ab"), None, Some("")])), [2, 0, 0]);
        assert_eq!(values(StringArray::from(vec!["x", "abc", "y"]).slice(1, 1)), [3]);
        assert_eq!(values(StringViewArray::from(vec![text; 3])), [16, 16, 16]);
        assert_eq!(values([text, text].into_iter().collect::<DictionaryArray<Int32Type>>()), [16, 16]);
        assert_eq!(values(Int64Array::from(vec![1, 2])), [8, 8]);
        assert!(values(BooleanArray::from(vec![true; 100])).iter().all(|bytes| *bytes < 8));
        assert_eq!(values(StringArray::from(Vec::<&str>::new())), Vec::<usize>::new());
    }

    #[test]
    fn lists_count_with_their_items() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), Some(2)]),
            None,
            Some(vec![]),
            Some(vec![None]),
        ]);
        let of_item = CELL_BYTES + 4;
        let lists: ArrayRef = Arc::new(lists);
        assert_eq!(of_values(&lists), [2 * of_item, 0, 0, of_item]);
        assert_eq!(of_values(&lists.slice(2, 2)), [0, of_item]);
        let batch = RecordBatch::try_from_iter([("l", lists)]).unwrap();
        assert_eq!(items_of_rows(&batch), [3, 1, 1, 2]);
        let items: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        let (starts, lengths) = (vec![0, 1, 3].into(), vec![2, 2, 0].into());
        let views = ListViewArray::new(Arc::clone(&item), starts, lengths, Arc::clone(&items), None);
        let fixed = FixedSizeListArray::new(item, 1, items, None);
        let batch =
            RecordBatch::try_from_iter([("v", Arc::new(views) as ArrayRef), ("f", Arc::new(fixed) as ArrayRef)])
                .unwrap();
        assert_eq!(items_of_rows(&batch), [4, 4, 2]);
        assert_eq!(of_rows(&batch.slice(1, 2)), [3 * of_item, of_item]);
        let options = RecordBatchOptions::new().with_row_count(Some(5));
        let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
        assert_eq!((of_rows(&bare), of(&bare)), (vec![0; 5], 0));
    }
}
