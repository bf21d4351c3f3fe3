//! A prediction, and a pattern on a day, as rows: columns as `sinks/src/schema.rs` lists them.

use super::trial::{Muted, probability};
use crate::events::finding::pattern_key;
use crate::events::row::{Case, Frequency, Outcome, PairAfter};
use model::derived::{DerivedRow, Value};
use model::pattern::prediction_id;
use model::real::Real;
use model::time::MINUTE_MS;

/// The table of predictions.
pub const PREDICTIONS: &str = "predictions";
/// The table of patterns by the day.
pub const PATTERN_DAYS: &str = "prediction_days";

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// What a pattern predicted when the source of a case happened, and what became of it.
pub fn prediction(after: &PairAfter, frequency: &Frequency, case: &Case, lateness_ms: i64) -> DerivedRow {
    let correlation_id = pattern_key(&after.source, &after.target).correlation_id();
    let minutes = |minutes: u32| i64::from(minutes) * MINUTE_MS;
    let (from, to) =
        (case.source_at + minutes(frequency.window_min.0), case.source_at + minutes(frequency.window_min.1));
    let expires_at = to + lateness_ms;
    let (outcome, matched, resolved_at) = match &case.outcome {
        Outcome::Open => ("open", Value::Null, Value::Null),
        Outcome::Hit { at, event_id } => ("hit", text(event_id), Value::Time(*at)),
        Outcome::Miss => ("miss", Value::Null, Value::Time(expires_at)),
        Outcome::Void => ("void", Value::Null, Value::Null),
    };
    DerivedRow {
        table: PREDICTIONS.to_owned(),
        key: vec![Value::Text(prediction_id(&correlation_id, &case.source_event_id))],
        content: vec![
            Value::Text(correlation_id),
            text(&after.source.colony_id),
            text(&case.source_event_id),
            text(&after.target.colony_id),
            text(&after.target.service_id),
            text(&after.target.event_type),
            Value::Time(case.source_at),
            Value::Time(from),
            Value::Time(to),
            Value::Time(expires_at),
            Value::Real(Real(probability(frequency))),
            text(outcome),
            matched,
            resolved_at,
            text(&after.source.service_id),
            text(&after.source.event_type),
            text(&after.source_identity.application_name),
            text(&after.source_identity.environment),
            text(&after.target_identity.application_name),
            text(&after.target_identity.environment),
            Value::Real(frequency.chance),
        ],
    }
}

/// A pattern on the day after an instant.
pub fn pattern_day(after: &PairAfter, frequency: &Frequency, muted: Option<Muted>) -> DerivedRow {
    let correlation_id = pattern_key(&after.source, &after.target).correlation_id();
    let seconds = |minutes: u32| Value::Count(u64::from(minutes) * 60);
    DerivedRow {
        table: PATTERN_DAYS.to_owned(),
        key: vec![Value::Text(correlation_id), Value::Time(after.instant)],
        content: vec![
            Value::Real(Real(probability(frequency))),
            Value::Real(frequency.chance),
            seconds(frequency.window_min.0),
            seconds(frequency.window_min.1),
            Value::Count(after.targets),
            muted.map_or(Value::Null, |muted| Value::Text(muted.reason())),
        ],
    }
}
