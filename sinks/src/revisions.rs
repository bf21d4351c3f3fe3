//! Revisions of correlations as rows of their table: what was said of a pattern, since when, and why that changed.

use crate::derived::Row;
use crate::patterns::{self, CorrelationRow, Fields, correlation_value, correlations};
use crate::schema::{DERIVED, DerivedTable};
use crate::transfer::Cursor;
use crate::{SinkError, StoreReader};
use model::derived::Value;
use model::pattern::{Correlation, PatternState};
use model::real::Real;
use model::time::TimeMs;
use std::collections::BTreeMap;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// Rows of one pattern read at once.
const PATTERN_ROWS: usize = 200;

/// The table.
pub const REVISIONS: &str = "correlation_revisions";

/// Events that a revision names; beyond that it only counts them.
pub const CAUSES_MAX: usize = 50;

/// What was said of a pattern before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// Candidate, confirmed or withdrawn.
    pub state: PatternState,
    /// Strength, 0..1.
    pub score: Real,
    /// `1 - q_value`, 0..1.
    pub confidence: Real,
    /// Typical delay from source to target.
    pub lag_seconds: i32,
    /// Matched occurrences (events) or points in the window (metrics).
    pub occurrence_count: u32,
}

/// One change of what is said of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// When the reef learnt it: time of the commit by the clock.
    pub learnt_at: TimeMs,
    /// The event time that it holds as of.
    pub as_of: Option<TimeMs>,
    /// The row from then on; of a pattern that is no longer listed, its last row.
    pub row: Correlation,
    /// Whether it is listed from then on.
    pub is_listed: bool,
    /// Before; `None` if it was not listed.
    pub before: Option<Before>,
    /// Events that have become part of its evidence or have ceased to be, as `colony/event id`, at most [`CAUSES_MAX`].
    pub caused_by: Vec<String>,
    /// How many these are; `None` if it is not known.
    pub caused_count: Option<u32>,
}

/// The table's description.
pub fn revisions() -> &'static DerivedTable {
    let table = DERIVED.iter().find(|derived| derived.table.name == REVISIONS);
    table.unwrap_or_else(|| unreachable!("the schema has a table of revisions"))
}

/// All revisions of a pattern, the oldest first.
///
/// # Errors
/// Those of the store.
pub async fn revisions_of(reader: &dyn StoreReader, correlation_id: &str) -> Result<Vec<Revision>, SinkError> {
    // before any time, so that the first page begins with the pattern
    let mut after = Some(Cursor(serde_json::json!([correlation_id, -1]).to_string()));
    let mut found = Vec::new();
    loop {
        let page = reader.rows_of(revisions(), after.as_ref(), PATTERN_ROWS).await?;
        let rows = page.rows();
        let own = |row: &&Row| matches!(&row[0], Value::Text(id) if id == correlation_id);
        let of_it = rows.iter().take_while(own);
        let count = found.len();
        found.extend(of_it.filter_map(|row| Revision::of_values(row)));
        after = page.end();
        if after.is_none() || found.len() - count < rows.len() {
            return Ok(found);
        }
    }
}

/// What the reef held to be true at a time: the last revision until then of each pattern that was listed.
///
/// # Errors
/// Those of the store.
pub async fn known_at(reader: &dyn StoreReader, at: TimeMs) -> Result<Vec<Revision>, SinkError> {
    Ok(last_until(reader, at).await?.into_iter().filter(|revision| revision.is_listed).collect())
}

/// The newest revision of each pattern, also of those that are no longer listed.
///
/// # Errors
/// Those of the store.
pub async fn newest(reader: &dyn StoreReader) -> Result<Vec<Revision>, SinkError> {
    last_until(reader, TimeMs(i64::MAX)).await
}

async fn last_until(reader: &dyn StoreReader, at: TimeMs) -> Result<Vec<Revision>, SinkError> {
    let (mut known, mut after) = (BTreeMap::new(), None);
    loop {
        let page = reader.rows_of(revisions(), after.as_ref(), PAGE_ROWS).await?;
        // pages rise in time within a pattern: of several the last one stays
        for revision in page.rows().iter().filter_map(|row| Revision::of_values(row)).filter(|it| it.learnt_at <= at) {
            known.insert(revision.row.key.correlation_id(), revision);
        }
        after = page.end();
        if after.is_none() {
            return Ok(known.into_values().collect());
        }
    }
}

impl Before {
    /// What this row said.
    pub fn of(row: &Correlation) -> Before {
        Before {
            state: row.state,
            score: row.correlation_score,
            confidence: row.confidence,
            lag_seconds: row.lag_seconds,
            occurrence_count: row.occurrence_count,
        }
    }
}

impl Revision {
    /// Its row, columns as the table lists them.
    pub fn values(&self) -> Vec<Value> {
        revisions().table.columns.iter().map(|(column, _)| self.value(column)).collect()
    }

    fn value(&self, column: &str) -> Value {
        let before = |of: fn(&Before) -> Value| self.before.as_ref().map_or(Value::Null, of);
        match column {
            "learnt_at" => Value::Time(self.learnt_at),
            "as_of" => self.as_of.map_or(Value::Null, Value::Time),
            "is_listed" => Value::Truth(self.is_listed),
            "old_state" => before(|old| Value::Text(old.state.as_str().to_owned())),
            "old_score" => before(|old| Value::Real(old.score)),
            "old_confidence" => before(|old| Value::Real(old.confidence)),
            "old_lag_seconds" => before(|old| Value::Whole(old.lag_seconds.into())),
            "old_occurrence_count" => before(|old| Value::Count(old.occurrence_count.into())),
            "caused_by" => Value::Texts(self.caused_by.clone()),
            "caused_count" => self.caused_count.map_or(Value::Null, |count| Value::Count(count.into())),
            of_row => {
                let row = CorrelationRow { correlation: &self.row, revision: 0, updated_at: self.learnt_at };
                correlation_value(&row, of_row)
            }
        }
    }

    /// The revision of a stored row; `None` if it holds something that this version does not know.
    pub fn of_values(values: &[Value]) -> Option<Revision> {
        let table = &revisions().table;
        let mut own = Fields { table, row: values.to_vec() };
        let of_row = |(column, _): &(&str, _)| {
            let place = table.columns.iter().position(|(name, _)| name == column);
            place.and_then(|place| values.get(place)).cloned().unwrap_or(Value::Null)
        };
        let row: Row = correlations().columns.iter().map(of_row).collect();
        let (row, ..) = patterns::read_correlation(row).ok()?;
        let before = own.perhaps_text("old_state").map(|state| {
            Some(Before {
                state: patterns::read_state(&state).ok()?,
                score: own.real("old_score"),
                confidence: own.real("old_confidence"),
                lag_seconds: own.seconds("old_lag_seconds"),
                occurrence_count: own.small_count("old_occurrence_count"),
            })
        });
        Some(Revision {
            learnt_at: own.perhaps_time("learnt_at")?,
            as_of: own.perhaps_time("as_of"),
            row,
            is_listed: own.take("is_listed") == Value::Truth(true),
            before: match before {
                Some(before) => Some(before?),
                None => None,
            },
            caused_by: if let Value::Texts(texts) = own.take("caused_by") { texts } else { Vec::new() },
            caused_count: match own.take("caused_count") {
                Value::Count(count) => u32::try_from(count).ok(),
                _ => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::rows::{START, finding};

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let row = finding("deploy", 0.7, &[("d1", "e1")]).correlation;
        let changed = Revision {
            learnt_at: START + 5,
            as_of: Some(START),
            before: Some(Before::of(&finding("deploy", 0.6, &[]).correlation)),
            row,
            is_listed: true,
            caused_by: vec!["shop/d1".to_owned(), "shop/e1".to_owned()],
            caused_count: Some(2),
        };
        let gone =
            Revision { as_of: None, is_listed: false, caused_by: Vec::new(), caused_count: None, ..changed.clone() };
        let first = Revision { before: None, ..changed.clone() };
        for revision in [changed, gone, first] {
            assert_eq!(Revision::of_values(&revision.values()), Some(revision));
        }
        assert_eq!(Revision::of_values(&[Value::Null]), None);
    }

    /// What was said is kept whole.
    #[test]
    fn a_revision_has_every_column_of_a_correlation_but_those_of_the_run() {
        let own: Vec<&str> = revisions().table.columns.iter().map(|(name, _)| *name).collect();
        for (column, kind) in correlations().columns {
            let expected = !["revision", "updated_at"].contains(column);
            assert_eq!(own.contains(column), expected, "{column}");
            assert!(!expected || revisions().table.kind(column) == *kind, "{column}");
        }
    }
}
