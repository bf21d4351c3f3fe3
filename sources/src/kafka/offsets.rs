//! Offsets as a user writes them: `offset:1200` for every partition, `offset:0=1200,1=88` for some.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Offsets by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offsets {
    /// The same in every partition of every topic.
    Every(i64),
    /// By `partition` or `topic/partition`; the second wins. Partitions that are not named have none.
    Of(BTreeMap<String, i64>),
}

/// How such a text starts.
const PREFIX: &str = "offset:";

impl Offsets {
    /// Reads the text after `offset:`. `None` when the text is about something else.
    ///
    /// ```
    /// use coral_sources::kafka::Offsets;
    /// let some = Offsets::parse("offset:0=1200,events/1=88").unwrap().unwrap();
    /// assert_eq!((some.of("metrics", 0), some.of("events", 1), some.of("metrics", 1)), (Some(1200), Some(88), None));
    /// assert_eq!(Offsets::parse("offset:7").unwrap().unwrap().of("any", 3), Some(7));
    /// assert!(Offsets::parse("offset:-1").unwrap().is_err());
    /// assert!(Offsets::parse("latest").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Result<Offsets, String>> {
        let rest = text.strip_prefix(PREFIX)?;
        let offset = |text: &str| text.trim().parse::<i64>().ok().filter(|offset| *offset >= 0);
        if let Some(every) = offset(rest) {
            return Some(Ok(Offsets::Every(every)));
        }
        let wrong = |part: &str| format!("{part:?} is not partition=offset; write for example offset:0=1200,1=88");
        let one = |part: &str| {
            let (place, number) = part.split_once('=')?;
            let (topic, partition) = place.trim().rsplit_once('/').unwrap_or(("", place.trim()));
            let partition: i32 = partition.parse().ok().filter(|partition| *partition >= 0)?;
            let place = if topic.is_empty() { partition.to_string() } else { format!("{topic}/{partition}") };
            Some((place, offset(number)?))
        };
        let parts: Result<BTreeMap<_, _>, _> =
            rest.split(',').map(|part| one(part).ok_or_else(|| wrong(part))).collect();
        Some(parts.map(Offsets::Of))
    }

    /// The partitions of a topic that are named one by one, with their offsets.
    pub(super) fn named(&self, topic: &str) -> Vec<(i32, i64)> {
        let Offsets::Of(offsets) = self else { return Vec::new() };
        let of_topic = |place: &str| place.strip_prefix(topic)?.strip_prefix('/')?.parse().ok();
        offsets.iter().filter_map(|(place, offset)| Some((of_topic(place)?, *offset))).collect()
    }

    /// The offset of a partition, if it has one.
    pub fn of(&self, topic: &str, partition: i32) -> Option<i64> {
        match self {
            Offsets::Every(offset) => Some(*offset),
            Offsets::Of(offsets) => {
                offsets.get(&format!("{topic}/{partition}")).or_else(|| offsets.get(&partition.to_string())).copied()
            }
        }
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        match self {
            Offsets::Every(offset) => write!(f, "{offset}"),
            Offsets::Of(offsets) => {
                let parts: Vec<String> = offsets.iter().map(|(place, offset)| format!("{place}={offset}")).collect();
                f.write_str(&parts.join(","))
            }
        }
    }
}

impl Serialize for Offsets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
