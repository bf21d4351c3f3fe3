//! The texts of metric buckets as Arrow dictionaries: each text is sent once instead of once per row. The server would
//! deduplicate a plain column itself, which costs it more than the rest of the block.

use crate::columns::Columns;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use model::series::SeriesId;
use std::collections::HashMap;
use std::sync::Arc;

/// Columns that name a series.
const NAMES: [&str; 5] = ["colony_id", "application_name", "environment", "service_id", "metric_name"];
/// Maximum bytes of one dictionary; above it the columns stay unchanged. Arrow's offsets have 31 bits.
const BYTES_MAX: usize = 1 << 30;

/// The texts of some series.
pub(super) struct Dictionaries {
    /// By name: all texts, and which of them each series has.
    names: Vec<(Arc<StringArray>, Vec<i32>)>,
}

impl Dictionaries {
    /// Of these series, identified by their position; `None` if the texts are too long.
    pub(super) fn of(series: impl Iterator<Item = SeriesId> + Clone) -> Option<Dictionaries> {
        let text = |number: usize, series: SeriesId| -> &'static str {
            let names = series.series().names();
            [names.colony_id, names.application_name, names.environment, names.service_id, names.metric_name][number]
        };
        let names = (0..NAMES.len()).map(|number| {
            let mut keys: HashMap<&str, i32> = HashMap::new();
            let mut texts: Vec<&str> = Vec::new();
            let mut of_series = Vec::new();
            for text in series.clone().map(|series| text(number, series)) {
                let next = i32::try_from(texts.len()).ok()?;
                let key = *keys.entry(text).or_insert(next);
                if key == next {
                    texts.push(text);
                }
                of_series.push(key);
            }
            let bytes: usize = texts.iter().map(|text| text.len()).sum();
            (bytes <= BYTES_MAX).then(|| (Arc::new(StringArray::from(texts)), of_series))
        });
        Some(Dictionaries { names: names.collect::<Option<Vec<_>>>()? })
    }

    /// The columns of rows whose series have these positions. All batches share the texts, so that a stream contains
    /// them once.
    pub(super) fn columns(&self, series: impl Iterator<Item = usize> + Clone) -> Columns {
        let column = |(name, (texts, of_series)): (&&'static str, &(Arc<StringArray>, Vec<i32>))| {
            let keys = Int32Array::from_iter_values(series.clone().map(|place| of_series[place]));
            (*name, Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::clone(texts) as _)) as ArrayRef)
        };
        NAMES.iter().zip(&self.names).map(column).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Array, AsArray};
    use model::series::SeriesRef;

    fn series(colony_id: &str, service_id: &str, metric_name: &str) -> SeriesId {
        let names = SeriesRef { colony_id, service_id, metric_name, ..SeriesRef::default() };
        SeriesId::of(SeriesRef { application_name: "shop", interval_seconds: Some(60), ..names })
    }

    #[test]
    fn rows_have_the_texts_of_their_series_and_each_text_is_there_once() {
        let all = [series("a", "api", "p"), series("a", "web", "p"), series("b", "api", "q")];
        let dictionaries = Dictionaries::of(all.into_iter()).unwrap();
        let columns = dictionaries.columns([2, 0, 1, 2].into_iter());
        let texts = |name: &str| {
            let (_, values) = columns.iter().find(|(of, _)| *of == name).unwrap();
            let dictionary = values.as_dictionary::<Int32Type>();
            let texts = dictionary.downcast_dict::<StringArray>().unwrap();
            let texts: Vec<String> = texts.into_iter().map(|text| text.unwrap().to_owned()).collect();
            (dictionary.values().len(), texts.join(" "))
        };
        assert_eq!(texts("colony_id"), (2, "b a a b".to_owned()));
        assert_eq!(texts("service_id"), (2, "api api web api".to_owned()));
        assert_eq!(texts("metric_name"), (2, "q p p q".to_owned()));
        assert_eq!(texts("environment"), (1, "   ".to_owned()));
    }
}
