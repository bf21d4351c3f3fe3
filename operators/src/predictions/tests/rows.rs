//! What several tests need: the rows of predictions by the names of their columns.

use crate::events::EventParams;
use crate::events::tests::support::Chain;
use crate::predictions::{PATTERN_DAYS, PREDICTIONS, current_since};
use model::derived::{DerivedRow, Value};
use model::real::Real;
use model::time::TimeMs;

/// A prediction as a test reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    pub source_event_id: String,
    pub issued_at: TimeMs,
    pub expected_from: TimeMs,
    pub expected_to: TimeMs,
    pub expires_at: TimeMs,
    pub probability: f64,
    pub outcome: String,
    pub matched_event_id: Option<String>,
    pub resolved_at: Option<TimeMs>,
    pub chance_level: f64,
}

fn text(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()) } else { None }
}

fn time(value: &Value) -> TimeMs {
    if let Value::Time(time) = value { *time } else { panic!("{value:?} is no time") }
}

fn real(value: &Value) -> f64 {
    if let Value::Real(Real(real)) = value { *real } else { panic!("{value:?} is no number") }
}

/// The predictions, by time.
pub fn predictions(chain: &Chain) -> Vec<Prediction> {
    let rows = chain.rows.values().filter(|row| row.table == PREDICTIONS);
    let read = |row: &DerivedRow| Prediction {
        source_event_id: text(&row.content[2]).unwrap(),
        issued_at: time(&row.content[6]),
        expected_from: time(&row.content[7]),
        expected_to: time(&row.content[8]),
        expires_at: time(&row.content[9]),
        probability: real(&row.content[10]),
        outcome: text(&row.content[11]).unwrap(),
        matched_event_id: text(&row.content[12]),
        resolved_at: if let Value::Time(at) = row.content[13] { Some(at) } else { None },
        chance_level: real(&row.content[20]),
    };
    let mut all: Vec<Prediction> = rows.map(read).collect();
    all.sort_by_key(|one| one.issued_at);
    all
}

/// Day, probability, targets and the reason of a mute, by day.
pub fn days(chain: &Chain) -> Vec<(TimeMs, f64, u64, Option<String>)> {
    let rows = chain.rows.values().filter(|row| row.table == PATTERN_DAYS);
    let read = |row: &DerivedRow| {
        let Value::Count(targets) = row.content[4] else { panic!("{row:?}") };
        (time(&row.key[1]), real(&row.content[0]), targets, text(&row.content[5]))
    };
    let mut all: Vec<_> = rows.map(read).collect();
    all.sort_by_key(|one| one.0);
    all
}

/// The rows that are kept current at `now`, floats to nine digits.
pub fn current(rows: impl IntoIterator<Item = DerivedRow>, params: &EventParams, now: TimeMs) -> Vec<String> {
    let since = current_since(params, now);
    let of_row = |row: &DerivedRow| if row.table == PREDICTIONS { time(&row.content[6]) } else { time(&row.key[1]) };
    let mut rows: Vec<String> = rows
        .into_iter()
        .filter(|row| of_row(row) >= since)
        .map(|row| {
            let shown = |value: &Value| match value {
                Value::Real(Real(real)) => format!("{real:.9}"),
                other => format!("{other:?}"),
            };
            let values: Vec<String> = row.key.iter().chain(&row.content).map(shown).collect();
            format!("{} {}", row.table, values.join(" "))
        })
        .collect();
    rows.sort();
    rows
}
