//! Pages of derived tables of the reference store.

use super::{MemoryReader, NAME};
use crate::derived::{self, Row};
use crate::error::{FaultClass, SinkError};
use crate::schema::DerivedTable;
use crate::transfer::{Cursor, Page};
use model::derived::Value;

impl MemoryReader {
    /// Rows after a key; of those with one of these texts in a column, if that is asked for.
    pub(super) fn derived(
        &self,
        table: &'static DerivedTable,
        texts: Option<(&'static str, &[String])>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let doing = format!("cannot read {}", table.table.name);
        let tables = self.open(&doing)?;
        let after = after.and_then(|cursor| derived::key_of(&table.table, cursor));
        let has = |row: &&Row| {
            texts.is_none_or(|(column, texts)| {
                let place = table.table.columns.iter().position(|(name, _)| *name == column);
                let found = place.map(|place| &row[place]);
                matches!(found, Some(Value::Text(text)) if texts.contains(text))
            })
        };
        let rows = tables.derived.get(table.table.name).into_iter().flatten();
        let beyond = rows.filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after)).map(|(_, row)| row);
        page(table, doing, &beyond.filter(has).take(limit).collect::<Vec<_>>())
    }

    /// Rows before a key, the greatest key first.
    pub(super) fn newest(
        &self,
        table: &'static DerivedTable,
        before: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, SinkError> {
        let doing = format!("cannot read {}", table.table.name);
        let tables = self.open(&doing)?;
        let before = before.and_then(|cursor| derived::key_of(&table.table, cursor));
        let rows = tables.derived.get(table.table.name).into_iter().flatten().rev();
        let earlier = rows.filter(|(key, _)| before.as_ref().is_none_or(|before| *key < before)).map(|(_, row)| row);
        page(table, doing, &earlier.take(limit).collect::<Vec<_>>())
    }

    /// How many rows there are, up to `most`.
    pub(super) fn count(&self, table: &'static DerivedTable, most: u64) -> Result<u64, SinkError> {
        let tables = self.open(&format!("cannot count the rows of {}", table.table.name))?;
        let rows = tables.derived.get(table.table.name).map_or(0, |rows| rows.len() as u64);
        Ok(rows.min(most))
    }
}

fn page(table: &'static DerivedTable, doing: String, rows: &[&Row]) -> Result<Page, SinkError> {
    derived::page(&table.table, rows).map_err(|error| SinkError {
        class: FaultClass::Stop,
        doing,
        store: NAME.to_owned(),
        hint: "this is a bug; please report it with this text".to_owned(),
        cause: Some(Box::new(error)),
    })
}
