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
        if self.source.starts_with("colony-") || self.source == STORE_SOURCE {
            return "";
        }
        let name = self.place.trim_end_matches(|c: char| c.is_ascii_digit());
        if name.len() == self.place.len() {
            return &self.place;
        }
        [":", "@", " row "].iter().find_map(|sign| name.strip_suffix(sign)).unwrap_or(&self.place)
    }

    /// The place's number within its part: a line, a row, an offset. They rise in the order in which the part is read.
    pub fn number(&self) -> Option<u64> {
        let part = self.part();
        if part.is_empty() || part.len() == self.place.len() {
            return None;
        }
        self.place[part.len()..].trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()
    }

    /// The memory that it takes, roughly.
    pub fn bytes(&self) -> usize {
        let colony = self.colony_id.as_ref().map_or(0, String::len);
        size_of_val(self) + self.source.len() + self.place.len() + colony + self.detail.len() + self.raw.len()
    }
}

/// The source of rows that a store refuses.
pub const STORE_SOURCE: &str = "store";

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
            ("files", "in/e 1.ndjson:17", "in/e 1.ndjson", Some(17)),
            ("files", "m.parquet row 8192", "m.parquet", Some(8_192)),
            ("files", "m.parquet", "m.parquet", None),
            ("files", "2026", "2026", None),
            ("kafka", "coral.events/3@1042", "coral.events/3", Some(1_042)),
            ("colony-events:c", "StreamEvents \"e1\" after session:150", "", None),
            (STORE_SOURCE, "federated_events c/e:1", "", None),
        ] {
            let reject = at(source, place);
            assert_eq!((reject.part(), reject.number()), (part, number), "{place}");
        }
    }
}
