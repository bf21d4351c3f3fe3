//! Catalog: the names of tables. Those of the store need no prefix; nothing can be added to it.

use super::reads::Counted;
use super::stored::StoredTable;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result;
use sinks::StoreReader;
use sinks::schema::{Schema, Table};
use std::fmt;
use std::sync::Arc;

/// The catalog of the reef.
pub(super) const REEF: &str = "reef";
/// Its schema with the tables of the store.
pub(super) const STORE: &str = "store";

/// Who asked what in words, and what was sent to a language model: for the role `analyst`, by `ListAnalyses`. Statements are for
/// every role.
const NOT_FOR_ALL: &str = "analyses";

/// The tables that a statement may name: those that every store has, and that every caller may read.
pub fn stored_tables() -> impl Iterator<Item = &'static Table> {
    Schema::default().tables().filter(|table| table.name != NOT_FOR_ALL)
}

/// The catalog of the reef.
pub(super) struct ReefCatalog(Arc<StoreSchema>);

/// The tables of the store.
struct StoreSchema {
    reader: Arc<dyn StoreReader>,
    counted: Counted,
}

impl ReefCatalog {
    pub(super) fn new(reader: Arc<dyn StoreReader>, counted: Counted) -> ReefCatalog {
        ReefCatalog(Arc::new(StoreSchema { reader, counted }))
    }
}

impl fmt::Debug for ReefCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReefCatalog")
    }
}

impl fmt::Debug for StoreSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSchema")
    }
}

impl CatalogProvider for ReefCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![STORE.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == STORE).then(|| Arc::clone(&self.0) as Arc<dyn SchemaProvider>)
    }
}

#[async_trait]
impl SchemaProvider for StoreSchema {
    fn table_names(&self) -> Vec<String> {
        stored_tables().map(|table| table.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let table = stored_tables().find(|table| table.name == name);
        let provider = |table| StoredTable::new(table, Arc::clone(&self.reader), self.counted.clone());
        Ok(table.map(|table| Arc::new(provider(table)) as Arc<dyn TableProvider>))
    }

    fn table_exist(&self, name: &str) -> bool {
        stored_tables().any(|table| table.name == name)
    }
}
