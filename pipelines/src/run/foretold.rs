//! Foretold: what a restart makes of stored predictions.
//!
//! The first evaluation computes the predictions of the look-back again: stored ones that it does not name are removed.
//! Earlier ones are final. Of these, one that was still open when its run ended has no outcome any more: it is void.

use model::derived::{DerivedChange, Value};
use model::time::TimeMs;
use operators::events::EventParams;
use operators::predictions::{PATTERN_DAYS, PREDICTIONS, current_since};
use sinks::schema::{DERIVED, DerivedTable};
use sinks::{SinkError, StoreReader};
use std::collections::BTreeMap;

/// Rows read at once.
const PAGE_ROWS: usize = 10_000;

/// A derived table of predictions, and the column that says which time a row is of.
const TABLES: [(&str, &str); 2] = [(PREDICTIONS, "issued_at"), (PATTERN_DAYS, "day")];

/// Stored rows of predictions that a first evaluation may correct.
#[derive(Debug, Default)]
pub(crate) struct StoredPredictions {
    params: EventParams,
    /// By table and key.
    rows: BTreeMap<(&'static str, Vec<Value>), Vec<Value>>,
}

fn table(name: &str) -> Option<&'static DerivedTable> {
    DERIVED.iter().find(|derived| derived.table.name == name)
}

fn place(table: &DerivedTable, column: &str) -> Option<usize> {
    table.table.columns.iter().position(|(name, _)| *name == column)
}

fn time(table: &DerivedTable, column: &str, row: &[Value]) -> Option<TimeMs> {
    match row.get(place(table, column)?)? {
        Value::Time(time) => Some(*time),
        _ => None,
    }
}

fn is_open(table: &DerivedTable, row: &[Value]) -> bool {
    place(table, "outcome").and_then(|place| row.get(place)) == Some(&Value::Text("open".to_owned()))
}

impl StoredPredictions {
    /// Reads the rows of the look-back at `now`, and earlier ones without an outcome.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn read(
        reader: &dyn StoreReader,
        params: &EventParams,
        now: Option<TimeMs>,
    ) -> Result<StoredPredictions, SinkError> {
        let since = now.map(|now| current_since(params, now));
        let mut rows = BTreeMap::new();
        for (name, column) in TABLES {
            let Some(table) = table(name) else { continue };
            let mut after = None;
            loop {
                let page = reader.rows_of(table, after.as_ref(), PAGE_ROWS).await?;
                for row in page.rows() {
                    let is_current = since.is_none_or(|since| time(table, column, &row).is_some_and(|at| at >= since));
                    if is_current || is_open(table, &row) {
                        rows.insert((name, row[..table.table.key].to_vec()), row);
                    }
                }
                after = page.end();
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(StoredPredictions { params: params.clone(), rows })
    }

    /// What to write so that the store holds what was computed again at `now`.
    pub(crate) fn corrections(mut self, computed: Vec<DerivedChange>, now: Option<TimeMs>) -> Vec<DerivedChange> {
        let mut corrections = Vec::new();
        let mut own: BTreeMap<&'static str, DerivedChange> = BTreeMap::new();
        for change in computed {
            let Some((name, _)) = TABLES.into_iter().find(|(name, _)| *name == change.table) else {
                corrections.push(change);
                continue;
            };
            let Some(table) = table(name) else { continue };
            let to = own.entry(name).or_insert_with(|| DerivedChange { table: name.to_owned(), ..Default::default() });
            for row in change.upserts {
                let stored = self.rows.remove(&(name, row[..table.table.key].to_vec()));
                if stored.as_ref() != Some(&row) {
                    to.upserts.push(row);
                }
            }
            for key in change.removed {
                self.rows.remove(&(name, key.clone()));
                to.removed.push(key);
            }
        }
        let since = now.map(|now| current_since(&self.params, now));
        for ((name, key), mut row) in self.rows {
            let Some(table) = table(name) else { continue };
            let column = TABLES.iter().find(|(own, _)| *own == name).map_or("", |(_, column)| column);
            let is_current = since.is_some_and(|since| time(table, column, &row).is_some_and(|at| at >= since));
            let to = own.entry(name).or_insert_with(|| DerivedChange { table: name.to_owned(), ..Default::default() });
            if is_current {
                to.removed.push(key);
            } else if is_open(table, &row)
                && let Some(place) = place(table, "outcome")
            {
                row[place] = Value::Text("void".to_owned());
                to.upserts.push(row);
            }
        }
        corrections.extend(own.into_values().filter(|change| !change.upserts.is_empty() || !change.removed.is_empty()));
        corrections
    }
}
