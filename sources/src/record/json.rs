//! One JSON object as a record, read directly into cells: no tree is built, names and texts are borrowed if possible.
//!
//! The result equals that of a tree of `serde_json::Value`, faults included: input that the fast reader rejects is read
//! again as a tree, whose fault is reported. A property test compares the two.

use super::Notes;
use super::fields::{Cell, Field, Naming, Record};
use super::metadata::metadata_of_value;
use model::check::Fault;
use model::reject::RejectReason;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A JSON object as a record.
#[derive(Debug)]
pub(crate) struct JsonRecord<'a> {
    /// By the discriminant of [`Field`]; metadata is beside it.
    cells: [JsonCell<'a>; Field::ALL.len()],
    metadata: Value,
}

#[derive(Clone, Debug)]
enum JsonCell<'a> {
    Missing,
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
    Bool(bool),
    Unusable(&'static str),
}

/// Reads a JSON object, or returns the error.
pub(crate) fn parse_object(text: &[u8]) -> Result<JsonRecord<'_>, Fault> {
    // checked once and not text by text
    let checked = std::str::from_utf8(text).ok();
    let mut record = JsonRecord::empty();
    match checked.map(|text| record.fill(text)) {
        Some(Ok(())) => Ok(record),
        _ => parse_tree(text).map(|object| JsonRecord::from_tree(&object)),
    }
}

/// The slow reader: a tree, and messages for other values.
fn parse_tree(text: &[u8]) -> Result<Map<String, Value>, Fault> {
    let read = match serde_json::from_slice::<Value>(text) {
        Ok(value) if !has_beyond(&value) => return object_of(value),
        read => read,
    };
    // `NaN` and `Infinity` are no JSON, but common writers emit them; whole numbers beyond 64 bits would be rounded
    if let Some(marked) = mark_numbers(text)
        && let Ok(value) = serde_json::from_slice::<Value>(&marked)
    {
        return object_of(value);
    }
    let cause = match read {
        Ok(value) => return object_of(value),
        Err(cause) => cause,
    };
    if cause.to_string().starts_with("number out of range") {
        return Err((RejectReason::NotFinite, format!("a number is not finite: {cause}")));
    }
    let more = if cause.to_string().starts_with("trailing characters") && text.trim_ascii_start().starts_with(b"{") {
        "; more than one value, expected a single JSON object"
    } else {
        ""
    };
    Err((RejectReason::Malformed, format!("not JSON: {cause}{more}")))
}

fn object_of(value: Value) -> Result<Map<String, Value>, Fault> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err((RejectReason::Malformed, format!("{}, expected a JSON object", kind_of(&other)))),
    }
}

/// Begins the text that stands for a number which JSON or 64 bits do not have, in a tree: no text of a writer begins so.
const NUMBER_MARK: char = '\u{10fffd}';

/// Whether a float may be a whole number beyond 64 bits, which was rounded.
fn is_beyond(number: f64) -> bool {
    number >= u64::MAX as f64 || number <= i64::MIN as f64
}

/// Whether there is such a float in it.
fn has_beyond(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(is_beyond),
        Value::Array(items) => items.iter().any(has_beyond),
        Value::Object(entries) => entries.values().any(has_beyond),
        _ => false,
    }
}

/// The length of the whole number beyond 64 bits that begins here; 0 where none does.
fn beyond_length(text: &[u8]) -> usize {
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = sign + digits;
    if digits < 19 || matches!(text.get(end), Some(b'.' | b'e' | b'E')) {
        return 0;
    }
    let written = std::str::from_utf8(&text[..end]).unwrap_or_default();
    if written.parse::<i64>().is_ok() || written.parse::<u64>().is_ok() { 0 } else { end }
}

/// The text with each bare `NaN`, `Infinity` and whole number beyond 64 bits made a marked string; `None` where there is none.
fn mark_numbers(text: &[u8]) -> Option<Vec<u8>> {
    let words: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];
    let mut marked = Vec::with_capacity(text.len() + 16);
    let (mut at, mut is_in_string, mut is_found) = (0, false, false);
    while at < text.len() {
        let word = words.iter().find(|word| !is_in_string && text[at..].starts_with(word));
        let is_inside = at > 0 && matches!(text[at - 1], b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let length = match word {
            Some(word) => word.len(),
            None if is_in_string || is_inside => 0,
            None => beyond_length(&text[at..]),
        };
        if length > 0 {
            marked.extend_from_slice(format!("\"{NUMBER_MARK}").as_bytes());
            marked.extend_from_slice(&text[at..at + length]);
            marked.push(b'"');
            at += length;
            is_found = true;
            continue;
        }
        let escaped = is_in_string && text[at] == b'\\';
        is_in_string ^= text[at] == b'"';
        let end = text.len().min(at + if escaped { 2 } else { 1 });
        marked.extend_from_slice(&text[at..end]);
        at = end;
    }
    is_found.then_some(marked)
}

/// Metadata as it came: marked numbers are the words again.
fn without_marks(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with(NUMBER_MARK) => {
            *text = text.trim_start_matches(NUMBER_MARK).to_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(without_marks),
        Value::Object(entries) => entries.values_mut().for_each(without_marks),
        _ => {}
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl<'a> JsonRecord<'a> {
    fn empty() -> JsonRecord<'a> {
        JsonRecord { cells: [const { JsonCell::Missing }; Field::ALL.len()], metadata: Value::Null }
    }

    /// Reads an object into an empty record in place, because it is large.
    fn fill(&mut self, text: &'a str) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_any(RecordVisitor(self))?;
        deserializer.end()
    }

    fn from_tree(object: &Map<String, Value>) -> JsonRecord<'a> {
        let mut record = JsonRecord::empty();
        let mut naming = Naming::default();
        for (name, value) in object {
            let Some(field) = naming.field(name) else { continue };
            record.cells[field as usize] = JsonCell::of_value(value);
            if field == Field::Metadata {
                record.metadata = value.clone();
                without_marks(&mut record.metadata);
            }
        }
        record
    }
}

impl JsonCell<'_> {
    /// A number that JSON or 64 bits do not have. A whole one is taken where a float holds it exactly.
    fn of_marked(number: &str) -> JsonCell<'static> {
        let float = number.parse().unwrap_or(f64::NAN);
        if !number.ends_with(|last: char| last.is_ascii_digit()) {
            return JsonCell::Float(float);
        }
        match number.parse::<i128>() {
            Ok(whole) if float as i128 == whole => JsonCell::Float(float),
            _ => JsonCell::Unusable("a whole number that a 64-bit float does not hold exactly"),
        }
    }

    fn of_value(value: &Value) -> JsonCell<'static> {
        match value {
            Value::Null => JsonCell::Missing,
            Value::String(text) => match text.strip_prefix(NUMBER_MARK) {
                Some(number) => JsonCell::of_marked(number),
                None => JsonCell::Text(Cow::Owned(text.clone())),
            },
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(int), _, _) => JsonCell::Int(int),
                (None, Some(uint), _) => JsonCell::Uint(uint),
                (None, None, Some(float)) => JsonCell::Float(float),
                (None, None, None) => JsonCell::Unusable("a number out of range"),
            },
            Value::Bool(yes) => JsonCell::Bool(*yes),
            other => JsonCell::Unusable(kind_of(other)),
        }
    }
}

impl Record for JsonRecord<'_> {
    fn cell(&self, field: Field) -> Cell<'_> {
        match &self.cells[field as usize] {
            JsonCell::Missing => Cell::Missing,
            JsonCell::Int(int) => Cell::Int(*int),
            JsonCell::Uint(uint) => Cell::Uint(*uint),
            JsonCell::Float(float) => Cell::Float(*float),
            JsonCell::Text(text) => Cell::Text(text),
            JsonCell::Bool(yes) => Cell::Bool(*yes),
            JsonCell::Unusable(what) => Cell::Unusable(what),
        }
    }

    fn metadata(&self, notes: &mut Notes) -> BTreeMap<String, String> {
        metadata_of_value(&self.metadata, notes)
    }
}

struct RecordVisitor<'r, 'de>(&'r mut JsonRecord<'de>);

impl<'de> Visitor<'de> for RecordVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    /// A name that is written twice has its last value, as in a tree.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let RecordVisitor(record) = self;
        let mut naming = Naming::default();
        while let Some(field) = map.next_key_seed(NameSeed(&mut naming))? {
            match field {
                Some(Field::Metadata) => {
                    record.metadata = map.next_value()?;
                    if has_beyond(&record.metadata) {
                        return Err(de::Error::custom("a number to be read by its digits"));
                    }
                    record.cells[Field::Metadata as usize] = JsonCell::of_value(&record.metadata);
                }
                Some(field) => record.cells[field as usize] = map.next_value_seed(CellSeed)?,
                // read to its end as strictly as the others: a broken number is a fault anywhere
                None => drop(map.next_value_seed(CellSeed)?),
            }
        }
        if naming.is_ambiguous {
            // which of the names is the last one, a tree says
            return Err(de::Error::custom("two names of one column"));
        }
        Ok(())
    }
}

/// A name: its column, if any.
struct NameSeed<'n>(&'n mut Naming);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Field>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<Field>, E> {
        Ok(self.0.field(name))
    }
}

/// A name inside a value: read and dropped, but still a name.
struct IgnoredName;

impl<'de> de::Deserialize<'de> for IgnoredName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IgnoredName, D::Error> {
        deserializer.deserialize_str(IgnoredName)
    }
}

impl Visitor<'_> for IgnoredName {
    type Value = IgnoredName;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<IgnoredName, E> {
        Ok(IgnoredName)
    }
}

/// A value: a cell, or the description of another type. Lists and objects are read and dropped.
struct CellSeed;

impl<'de> DeserializeSeed<'de> for CellSeed {
    type Value = JsonCell<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsonCell<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed {
    type Value = JsonCell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Missing)
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Bool(yes))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<JsonCell<'de>, E> {
        Ok(i64::try_from(number).map_or(JsonCell::Uint(number), JsonCell::Int))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<JsonCell<'de>, E> {
        if is_beyond(number) {
            return Err(E::custom("a number to be read by its digits"));
        }
        Ok(JsonCell::Float(number))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<JsonCell<'de>, E> {
        Ok(JsonCell::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<JsonCell<'de>, A::Error> {
        while items.next_element_seed(CellSeed)?.is_some() {}
        Ok(JsonCell::Unusable(kind_of(&Value::Array(Vec::new()))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<JsonCell<'de>, A::Error> {
        while entries.next_key::<IgnoredName>()?.is_some() {
            entries.next_value_seed(CellSeed)?;
        }
        Ok(JsonCell::Unusable(kind_of(&Value::Object(Map::new()))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::decode::{decode_event, decode_metric};
    use super::*;
    use model::series::SeriesCache;
    use model::time::TimeMs;
    use proptest::prelude::*;

    const NOW: TimeMs = TimeMs(1_700_000_000_000);

    /// Both readings of a text give the same rows or the same faults.
    fn same(text: &[u8]) -> Result<(), TestCaseError> {
        let fast = parse_object(text);
        let slow = parse_tree(text).map(|object| JsonRecord::from_tree(&object));
        match (&fast, &slow) {
            (Err(fast), Err(slow)) => prop_assert_eq!(fast, slow),
            (Ok(fast), Ok(slow)) => {
                for field in Field::ALL {
                    // by bits, so that -0.0 is not 0.0
                    prop_assert_eq!(format!("{:?}", fast.cell(field)), format!("{:?}", slow.cell(field)));
                }
                prop_assert_eq!(
                    decode_metric(fast, NOW, &mut SeriesCache::default()),
                    decode_metric(slow, NOW, &mut SeriesCache::default())
                );
                let event = |record| decode_event(record, NOW, &mut Notes::new());
                prop_assert_eq!(event(fast), event(slow));
            }
            _ => prop_assert!(false, "{}: {fast:?} but {slow:?}", String::from_utf8_lossy(text)),
        }
        Ok(())
    }

    /// Values as text, odd ones among them.
    fn value() -> impl Strategy<Value = String> {
        let fixed = prop::sample::select(vec![
            "null",
            "true",
            "0",
            "-0",
            "-0.0",
            "1",
            "17.5",
            "1e3",
            "1e999",
            "-1E-400",
            "18446744073709551615",
            "18446744073709551616",
            "18446744073709551617",
            "-9223372036854775808",
            "-9223372036854775809",
            "123456789012345678901234567890123456789012",
            "1e23",
            "{\"n\":18446744073709551617}",
            "9223372036854775807",
            "9223372036854775808",
            "0.1",
            "123456789.123456789123",
            "NaN",
            "Infinity",
            "01",
            "+1",
            "\"\"",
            "\"x\"",
            "\"  \"",
            "\"1.5\"",
            "\"a\\u00e9\\n\"",
            "\"\\ud800\"",
            "\"\\ud83d\\ude00\"",
            "\"2023-01-03T19:06:18.250Z\"",
            "\"1672772778000\"",
            "\"error\"",
            "\"ERROR \"",
            "[]",
            "[1,{\"a\":1e999}]",
            "[1,",
            "{}",
            "{\"a\":null,\"b\":[1],\"c\":\"d\"}",
            "{\"a\":1,\"a\":2}",
            "{1:2}",
            "\"open",
            "1672772778000",
            "1672772778000.0",
            "\"shop-production\"",
            "",
        ]);
        prop_oneof![4 => fixed.prop_map(str::to_owned), 1 => any::<f64>().prop_map(|number| format!("{number:e}"))]
    }

    fn name() -> impl Strategy<Value = String> {
        let known = prop::sample::select(Field::ALL.to_vec()).prop_map(|field| field.name().to_owned());
        let odd = prop::sample::select(vec![
            "other",
            "",
            "p50 ",
            "P50",
            "Timestamp",
            "colonyId",
            "\\u0070\\u0035\\u0030",
            "time\\nstamp",
        ]);
        prop_oneof![6 => known, 1 => odd.prop_map(str::to_owned)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn objects_read_as_their_tree(pairs in prop::collection::vec((name(), value()), 0..14)) {
            let body: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            same(format!("{{{}}}", body.join(", ")).as_bytes())?;
        }

        #[test]
        fn good_rows_with_one_broken_byte_read_as_their_tree(at in 0usize..300, byte in any::<u8>(), cut in 0usize..300) {
            let good = br#"{"colony_id":"shop-production","service_id":"api","metric_name":"latency_ms","timestamp":"2023-01-03T19:06:18.000Z","p50":1.25,"p95":2.5,"max":9.75,"count":12,"event_id":"e1","event_type":"deploy","severity":"info","description":"x\u0041","metadata":{"a":"b","n":3}}"#;
            same(good)?;
            same(&good[..cut.min(good.len())])?;
            let mut broken = good.to_vec();
            let at = at % broken.len();
            broken[at] = byte;
            same(&broken)?;
        }

        #[test]
        fn anything_reads_as_its_tree(text in prop::collection::vec(any::<u8>(), 0..40)) {
            same(&text)?;
        }
    }

    #[test]
    fn whole_numbers_beyond_64_bits_arrive_exactly_or_are_refused() {
        let record = parse_object(
            br#"{"p50": 18446744073709551616, "p95": 18446744073709551617, "p99": 1e23, "max": -9223372036854775809,
                "metadata": {"id": 18446744073709551617, "near": [123456789012345678901234567890]}}"#,
        )
        .unwrap();
        let inexact = Cell::Unusable("a whole number that a 64-bit float does not hold exactly");
        assert_eq!(record.cell(Field::P50), Cell::Float(18_446_744_073_709_551_616.0));
        assert_eq!((record.cell(Field::P95), record.cell(Field::Max)), (inexact, inexact));
        assert_eq!(record.cell(Field::P99), Cell::Float(1e23));
        let metadata = record.metadata(&mut Notes::new());
        assert_eq!(metadata["id"], "18446744073709551617");
        assert!(metadata.values().any(|value| value.contains("123456789012345678901234567890")), "{metadata:?}");
    }

    #[test]
    fn lists_that_are_too_deep_are_the_same_fault() {
        for depth in [126, 127, 128, 200] {
            let deep = format!("{{\"other\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            same(deep.as_bytes()).unwrap();
            same(deep.replace("other", "metadata").as_bytes()).unwrap();
        }
    }
}
