//! Evidence as it is recorded with its answer: the store goes on, and the ids of an answer are places in a list.

use super::evidence::Evidence;
use super::journal::Record;
use serde::{Deserialize, Serialize};
use sinks::analyses::EVIDENCE_BYTES_MAX;
use std::collections::BTreeMap;

/// An evidence without what only the check of sentences needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordedEvidence {
    /// `E1`, `E2`, …, by which the answer cites it.
    pub id: String,
    /// `metric`, `event` or `correlation`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The colony it was found in.
    pub colony_id: String,
    /// The other colony, of a comparison or a pattern.
    pub other_colony_id: Option<String>,
    /// In words.
    pub description: String,
    /// The statement that gave the values.
    pub query: String,
    /// The values of the row, by column.
    pub data: BTreeMap<String, String>,
    /// `observed`, `expected`, `co_moving`, `follows` or `changed`.
    pub claim: String,
    /// 0 to 1.
    pub confidence: f64,
    /// Everything up to here was known of its colonies; RFC 3339.
    pub complete_to: Option<String>,
}

impl From<&Evidence> for RecordedEvidence {
    fn from(one: &Evidence) -> RecordedEvidence {
        RecordedEvidence {
            id: one.id.clone(),
            kind: one.kind.as_str().to_owned(),
            colony_id: one.colony_id.clone(),
            other_colony_id: one.other_colony_id.clone(),
            description: one.description.clone(),
            query: one.query.clone(),
            data: one.data.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            claim: one.claim.as_str().to_owned(),
            confidence: one.confidence,
            complete_to: one.complete_to.clone(),
        }
    }
}

impl RecordedEvidence {
    /// The evidence of a record; none where it has none, or where it cannot be read.
    pub fn of(record: &Record) -> Vec<RecordedEvidence> {
        serde_json::from_str(&record.evidence).unwrap_or_default()
    }
}

/// A list in JSON of as many of these as fit; empty for none.
pub(super) fn written<'a>(evidence: impl Iterator<Item = &'a Evidence>) -> String {
    let mut list = String::new();
    for one in evidence {
        let Ok(text) = serde_json::to_string(&RecordedEvidence::from(one)) else { break };
        // what is before and behind it
        if list.len() + text.len() + 2 > EVIDENCE_BYTES_MAX {
            break;
        }
        list.push(if list.is_empty() { '[' } else { ',' });
        list.push_str(&text);
    }
    if !list.is_empty() {
        list.push(']');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::super::evidence::{Claim, Kind};
    use super::*;

    fn evidence(number: usize, query: String) -> Evidence {
        Evidence {
            id: format!("E{number}"),
            kind: Kind::Metric,
            colony_id: "my-shop-production".to_owned(),
            other_colony_id: Some("my-shop-staging".to_owned()),
            description: "latency is \"higher\"".to_owned(),
            query,
            data: vec![("value_b", "2.5".to_owned()), ("value_a", "1".to_owned())],
            facts: Vec::new(),
            claim: Claim::Follows,
            confidence: 0.5,
            complete_to: Some("2024-11-13T12:00:00.000Z".to_owned()),
        }
    }

    fn read(text: String) -> Vec<RecordedEvidence> {
        RecordedEvidence::of(&Record { evidence: text, ..Record::default() })
    }

    #[test]
    fn evidence_is_read_as_it_was_recorded_and_too_much_of_it_is_left_out() {
        let two = [evidence(1, "SELECT 1".to_owned()), evidence(2, "SELECT 'it''s'".to_owned())];
        let expected: Vec<RecordedEvidence> = two.iter().map(RecordedEvidence::from).collect();
        assert_eq!(read(written(two.iter())), expected);
        assert_eq!((expected[1].kind.as_str(), expected[1].claim.as_str()), ("metric", "follows"));
        assert_eq!(written(std::iter::empty()), "");
        let many: Vec<Evidence> = (1..=9).map(|number| evidence(number, "x".repeat(10_000))).collect();
        let text = written(many.iter());
        assert!(text.len() <= EVIDENCE_BYTES_MAX, "{}", text.len());
        let kept: Vec<String> = read(text).into_iter().map(|one| one.id).collect();
        assert_eq!(kept, ["E1", "E2", "E3", "E4", "E5", "E6"]);
        assert_eq!(read("[{\"id\":".to_owned()), []);
        assert_eq!(read(String::new()), []);
    }
}
