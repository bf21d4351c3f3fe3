//! A rejected row: counted by reason and stored, never dropped silently.

use crate::time::TimeMs;
use serde::{Deserialize, Serialize};

/// Why a row was refused. The text form is stable: it is stored and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// Not JSON, not CSV, not the expected protobuf.
    Malformed,
    /// A required field is absent or empty (colony_id, event_id, timestamp, event_type, service_id, metric_name).
    MissingField,
    /// A field has the wrong type or an impossible value.
    BadValue,
    /// A statistic is NaN or infinite.
    NotFinite,
    /// p50 <= p95 <= p99 <= max does not hold.
    PercentilesOutOfOrder,
    /// The timestamp is further in the future than clock skew explains.
    FarFuture,
    /// The timestamp is before 1990 or outside what a table can hold.
    BadTimestamp,
    /// A text field is longer than its limit.
    Oversized,
    /// The store refused the row.
    RefusedByStore,
}

impl RejectReason {
    /// Every reason, in the order they are documented.
    pub const ALL: [RejectReason; 9] = [
        RejectReason::Malformed,
        RejectReason::MissingField,
        RejectReason::BadValue,
        RejectReason::NotFinite,
        RejectReason::PercentilesOutOfOrder,
        RejectReason::FarFuture,
        RejectReason::BadTimestamp,
        RejectReason::Oversized,
        RejectReason::RefusedByStore,
    ];

    /// The stored name, e.g. `percentiles_out_of_order`.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::Malformed => "malformed",
            RejectReason::MissingField => "missing_field",
            RejectReason::BadValue => "bad_value",
            RejectReason::NotFinite => "not_finite",
            RejectReason::PercentilesOutOfOrder => "percentiles_out_of_order",
            RejectReason::FarFuture => "far_future",
            RejectReason::BadTimestamp => "bad_timestamp",
            RejectReason::Oversized => "oversized",
            RejectReason::RefusedByStore => "refused_by_store",
        }
    }
}

/// One refused row. `(source, place)` is its identity, so reading the input again adds nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reject {
    /// The source that read it, e.g. `files` or `colony-events:my-shop-production`.
    pub source: String,
    /// Where exactly: `events.ndjson:17`, `coral.events/3@1042`, `GetSummary my-shop 2023-01-03T…`.
    pub place: String,
    /// The colony, when it could be read.
    pub colony_id: Option<String>,
    /// The class of fault.
    pub reason: RejectReason,
    /// What exactly is wrong, for people.
    pub detail: String,
    /// The start of the row as it came, at most 1,024 characters.
    pub raw: String,
    /// When it was refused (run time, not event time).
    pub rejected_at: TimeMs,
}

/// Maximum number of characters of a rejected row that are stored.
pub const RAW_CHARS_MAX: usize = 1_024;

impl Reject {
    /// The part of the source that contains the row, as named by the source's positions: `events.ndjson`,
    /// `coral.events/3`. Empty if locations name no part; it is then the whole source.
    pub fn part(&self) -> &str {
        part_of(&self.source, &self.place)
    }

    /// The place's number within its part.
    pub fn number(&self) -> Option<PlaceNumber> {
        if names_no_part(&self.source) { None } else { number_of(&self.place) }
    }

    /// The memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        let colony = self.colony_id.as_ref().map_or(0, String::len);
        size_of_val(self) + self.source.len() + self.place.len() + colony + self.detail.len() + self.raw.len()
    }
}

/// The source of rows that a store refuses.
pub const STORE_SOURCE: &str = "store";

/// A line, a row or an offset, and the record on that line where it holds several (else 0). Numbers rise in the order in
/// which a part is read.
pub type PlaceNumber = (u64, u64);

/// Whether the places of a source name no part of it.
fn names_no_part(source: &str) -> bool {
    source.starts_with("colony-") || source == STORE_SOURCE
}

/// The part of a source that a place belongs to; see [`Reject::part`].
pub fn part_of<'a>(source: &str, place: &'a str) -> &'a str {
    if names_no_part(source) { "" } else { split(place).map_or(place, |(part, _)| part) }
}

/// The part of a source's places that one of its partitions is; partitions are what its positions name.
pub fn part_of_partition<'a>(source: &str, partition: &'a str) -> &'a str {
    if names_no_part(source) { "" } else { partition }
}

/// The number of a place within its part.
pub fn number_of(place: &str) -> Option<PlaceNumber> {
    split(place).map(|(_, number)| number)
}

/// The place before a numbered one.
pub fn place_before(place: &str) -> Option<String> {
    let (head, number) = trailing_number(place)?;
    Some(format!("{head}{}", number.checked_sub(1)?))
}

/// Part and number of `events.ndjson:17`, `events.ndjson:17.2` (the second record of that line), `topic/3@1042`, `m.parquet row 9`.
fn split(place: &str) -> Option<(&str, PlaceNumber)> {
    let (head, last) = trailing_number(place)?;
    if let Some(line) = head.strip_suffix('.').and_then(trailing_number).filter(|(head, _)| head.ends_with(':')) {
        return Some((line.0.strip_suffix(':')?, (line.1, last)));
    }
    let part = [":", "@", " row "].iter().find_map(|sign| head.strip_suffix(sign))?;
    Some((part, (last, 0)))
}

fn trailing_number(text: &str) -> Option<(&str, u64)> {
    let head = text.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((head, text[head.len()..].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &str, place: &str) -> Reject {
        Reject {
            source: source.to_owned(),
            place: place.to_owned(),
            colony_id: None,
            reason: RejectReason::Malformed,
            detail: String::new(),
            raw: String::new(),
            rejected_at: TimeMs(0),
        }
    }

    #[test]
    fn a_place_names_its_part_and_its_number_in_it() {
        for (source, place, part, number) in [
            ("files", "in/e 1.ndjson:17", "in/e 1.ndjson", Some((17, 0))),
            ("files", "in/e 1.ndjson:17.2", "in/e 1.ndjson", Some((17, 2))),
            ("files", "e-1.2:17", "e-1.2", Some((17, 0))),
            ("files", "m.parquet row 8192", "m.parquet", Some((8_192, 0))),
            ("files", "m.parquet", "m.parquet", None),
            ("files", "2026", "2026", None),
            ("kafka", "coral.events/3@1042", "coral.events/3", Some((1_042, 0))),
            ("colony-events:c", "StreamEvents \"e1\" after session:150", "", None),
            (STORE_SOURCE, "federated_events c/e:1", "", None),
        ] {
            let reject = at(source, place);
            assert_eq!((reject.part(), reject.number()), (part, number), "{place}");
        }
    }

    #[test]
    fn the_place_before_one_has_the_number_before() {
        for (place, before) in [
            ("e.ndjson:17", Some("e.ndjson:16")),
            ("e.ndjson:17.2", Some("e.ndjson:17.1")),
            ("e.ndjson:0", None),
            ("e.ndjson", None),
        ] {
            assert_eq!(place_before(place).as_deref(), before, "{place}");
        }
    }
}
