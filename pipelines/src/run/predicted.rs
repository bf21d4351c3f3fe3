//! Predicted: what evaluations change in what is said of predictions, as rows of `prediction_revisions`.

use model::derived::{DerivedChange, Value};
use model::time::TimeMs;
use operators::predictions::PREDICTIONS;
use sinks::prediction_revisions::{self, PREDICTION_REVISIONS};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;

/// What has changed of each prediction since it was last taken.
#[derive(Debug, Default)]
pub(crate) struct PredictionRevisions {
    /// The newest row by id; `None` if there is no such prediction any more.
    turns: BTreeMap<String, Option<Vec<Value>>>,
}

fn id(values: &[Value]) -> Option<String> {
    match values.first() {
        Some(Value::Text(id)) => Some(id.clone()),
        _ => None,
    }
}

impl PredictionRevisions {
    /// Starts from what an earlier run has stored and not said.
    pub(crate) async fn of_store(reader: &dyn StoreReader) -> Result<PredictionRevisions, SinkError> {
        let unsaid = prediction_revisions::unsaid(reader).await?;
        Ok(PredictionRevisions { turns: unsaid.into_iter().filter_map(|row| Some((id(&row)?, Some(row)))).collect() })
    }

    /// Notes what is written of them.
    pub(crate) fn note(&mut self, changes: &[DerivedChange]) {
        for change in changes.iter().filter(|change| change.table == PREDICTIONS) {
            self.turns.extend(change.removed.iter().filter_map(|key| Some((id(key)?, None))));
            self.turns.extend(change.upserts.iter().filter_map(|row| Some((id(row)?, Some(row.clone())))));
        }
    }

    /// The revisions since they were last taken.
    pub(crate) fn take(&mut self, learnt_at: TimeMs) -> Option<DerivedChange> {
        let turns = std::mem::take(&mut self.turns);
        let upserts: Vec<Vec<Value>> = turns
            .into_iter()
            .map(|(id, row)| match row {
                Some(row) => prediction_revisions::listed(&row, learnt_at),
                None => prediction_revisions::removed(&id, learnt_at),
            })
            .collect();
        let is_news = !upserts.is_empty();
        is_news.then(|| DerivedChange { table: PREDICTION_REVISIONS.to_owned(), upserts, removed: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(id: &str, outcome: &str) -> Vec<Value> {
        let mut row = vec![Value::Null; 22];
        (row[0], row[12]) = (Value::Text(id.to_owned()), Value::Text(outcome.to_owned()));
        row
    }

    fn change(table: &str, upserts: Vec<Vec<Value>>, removed: &[&str]) -> DerivedChange {
        let removed = removed.iter().map(|id| vec![Value::Text((*id).to_owned())]).collect();
        DerivedChange { table: table.to_owned(), upserts, removed }
    }

    #[test]
    fn of_several_states_between_two_commits_the_last_one_is_said() {
        let mut revisions = PredictionRevisions::default();
        revisions.note(&[
            change(PREDICTIONS, vec![row("p-1", "open"), row("p-2", "open"), row("p-3", "open")], &[]),
            change("prediction_days", vec![row("c-1", "open")], &[]),
        ]);
        revisions.note(&[change(PREDICTIONS, vec![row("p-1", "hit")], &["p-2"])]);
        let said = revisions.take(TimeMs(5)).unwrap();
        assert_eq!(said.table, PREDICTION_REVISIONS);
        let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { String::new() };
        let found: Vec<(String, bool, String)> =
            said.upserts.iter().map(|row| (text(&row[0]), row[2] == Value::Truth(true), text(&row[14]))).collect();
        let expected = [("p-1", true, "hit"), ("p-2", false, ""), ("p-3", true, "open")];
        assert_eq!(found, expected.map(|(id, is_listed, outcome)| (id.to_owned(), is_listed, outcome.to_owned())));
        assert!(said.upserts.iter().all(|row| row[1] == Value::Time(TimeMs(5))));
        assert_eq!(revisions.take(TimeMs(6)), None);
    }
}
