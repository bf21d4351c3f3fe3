//! What the reef knew when, and which events changed it.

use super::*;
use model::pattern::{Correlation, PatternState};
use sinks::revisions::{Before, REVISIONS, Revision};

fn said(state: PatternState, count: u32, confidence: f64) -> Correlation {
    let mut row = commit().findings.remove(0).correlation;
    (row.state, row.occurrence_count, row.sample_count) = (state, count, u64::from(count) + 1);
    (row.confidence, row.explained_by, row.part_of) = (Real(confidence), None, None);
    row
}

fn revision(hour: i64, row: &Correlation, before: Option<&Correlation>, caused_by: &[&str]) -> Revision {
    Revision {
        learnt_at: at(60 * hour),
        as_of: Some(at(60 * hour - 1)),
        row: row.clone(),
        is_listed: true,
        before: before.map(Before::of),
        caused_by: caused_by.iter().map(|id| (*id).to_owned()).collect(),
        caused_count: Some(caused_by.len() as u32),
    }
}

/// Listed at 13:00, confirmed at 15:00, withdrawn at 17:00 by the chance level alone, no longer listed at 19:00.
async fn revised() -> MemoryStore {
    let mut store = store().await;
    let listed = said(PatternState::Candidate, 3, 0.61);
    let confirmed = said(PatternState::Confirmed, 6, 0.9812);
    let withdrawn = said(PatternState::Withdrawn, 6, 0.85);
    let gone = Revision { is_listed: false, ..revision(7, &withdrawn, Some(&withdrawn), &["my-shop-production/e-3"]) };
    let rows = [
        revision(1, &listed, None, &["my-shop-production/e-3", "my-shop-production/spike-1"]),
        revision(3, &confirmed, Some(&listed), &["a/1", "a/2", "a/3", "a/4", "a/5", "a/6"]),
        revision(5, &withdrawn, Some(&confirmed), &[]),
        gone,
    ];
    let change = DerivedChange {
        table: REVISIONS.to_owned(),
        upserts: rows.iter().map(Revision::values).collect(),
        removed: Vec::new(),
    };
    store.commit(&Commit { derived: vec![change], ..commit_of(2, Rows::default()) }).await.unwrap();
    store
}

#[tokio::test]
async fn the_list_of_patterns_is_what_the_reef_knew_then() {
    let store = revised().await;
    let listed = async |hour: i64, state: &str| {
        let question =
            CorrelationsQuestion { state: Some(state.to_owned()), as_of: Some(at(60 * hour)), ..Default::default() };
        Question::Correlations(question).answer(store.reader().as_ref(), &Scope::default()).await.unwrap()
    };
    for (hour, expected) in
        [(0, None), (1, Some("candidate")), (4, Some("confirmed")), (5, Some("withdrawn")), (7, None)]
    {
        let answer = listed(hour, "all").await;
        let json = serde_json::to_value(&answer).unwrap();
        let states: Vec<&str> =
            json["items"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
        assert_eq!(states, expected.into_iter().collect::<Vec<_>>(), "{hour}");
        assert_eq!(json["as_of"], at(60 * hour).to_string());
    }
    let text = listed(4, "confirmed").await.text();
    let head =
        "1 confirmed pattern, as the reef knew them at 2024-11-13T16:00:00.000Z:\n\nconfirmed  deploy is followed by";
    assert!(text.starts_with(head), "{text}");
    let late = CorrelationsQuestion { as_of: Some(TimeMs(i64::MAX)), ..Default::default() };
    let refusal = Question::Correlations(late).answer(store.reader().as_ref(), &Scope::default()).await.unwrap_err();
    assert!(
        matches!(&refusal, AnswerError::Refused(refusal) if refusal.field.as_deref() == Some("as_of")),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn a_pattern_comes_with_its_history_and_the_events_that_made_it() {
    let store = revised().await;
    let question = Question::Correlation(CorrelationQuestion { id: "c-".to_owned() });
    let answer = question.answer(store.reader().as_ref(), &Scope::default()).await.unwrap();
    let expected = "\nWhat the reef held to be true, the newest first:
  2024-11-13 19:00:00 UTC  no longer listed; before: withdrawn, 6 times, confidence 0.8500
                         by my-shop-production/e-3
  2024-11-13 17:00:00 UTC  withdrawn, 6 of 7, lag 2h15m, confidence 0.8500; before: confirmed, 6 times, confidence 0.9812
                         no event of its own: the chance level has moved
  2024-11-13 15:00:00 UTC  confirmed, 6 of 7, lag 2h15m, confidence 0.9812; before: candidate, 3 times, confidence 0.6100
                         by a/1, a/2, a/3, a/4 and 2 more events
  2024-11-13 13:00:00 UTC  candidate, 3 of 4, lag 2h15m, confidence 0.6100
                         by my-shop-production/e-3, my-shop-production/spike-1
";
    let text = answer.text();
    assert!(text.contains(expected), "{text}");
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!((json["revision_count"].as_u64(), json["revisions"].as_array().unwrap().len()), (Some(4), 4));
    assert_eq!(json["revisions"][2]["caused_count"], 6);
}
