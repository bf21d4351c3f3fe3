//! Generated statements: over a store they give what the engine by itself gives over the same rows as Parquet, where nothing is
//! left to a store.

use super::statements::{Known, Statements};
use super::{answered, in_order};
use crate::answers::Scope;
use crate::sql::engine::{SqlEngine, SqlQuestion};
use crate::sql::{Table, catalog, functions};
use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider,
};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sinks::StoreReader;
use sinks::scan::Scan;
use sinks::schema;
use std::sync::Arc;

/// How many statements; each has a seed of its own, which a failure names.
const STATEMENTS: u64 = 200;
/// Every so many statements the plan is looked at as well.
const EXPLAINED_EVERY: u64 = 5;
/// How many of those plans leave all conditions to the store, at least.
const PUSHED_MIN: usize = 8;

pub(super) async fn statements_give_what_they_give_over_the_same_rows_as_parquet(reader: &Arc<dyn StoreReader>) {
    let (engine, oracle) = (SqlEngine::default(), Oracle::of(reader).await);
    let (mut pushed, mut with_rows, mut failed) = (0, 0, 0);
    for seed in 0..STATEMENTS {
        let sql = Statements::new(&oracle.known, seed).statement();
        let expected = oracle.rows(&sql).await.map_err(|error| error.to_string());
        let found = answered(&engine, reader, &sql).await.map_err(|error| error.to_string());
        match (&found, &expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "seed {seed}: {sql}"),
            // a statement that is wrong is so on both sides
            (Err(_), Err(_)) => failed += 1,
            _ => panic!("seed {seed}: {sql}\nover the store: {found:?}\nover Parquet: {expected:?}"),
        }
        with_rows += usize::from(expected.is_ok_and(|rows| !rows.is_empty()));
        if seed.is_multiple_of(EXPLAINED_EVERY) {
            pushed += usize::from(leaves_all(&engine, reader, &sql).await);
        }
    }
    assert!(failed <= 5, "{failed} of {STATEMENTS} statements are wrong");
    assert!(pushed >= PUSHED_MIN, "only {pushed} plans leave all conditions to the store");
    assert!(with_rows as u64 >= STATEMENTS / 2, "only {with_rows} of {STATEMENTS} statements have rows");
}

/// Whether a statement leaves conditions to the store, and none to the engine.
async fn leaves_all(engine: &SqlEngine, reader: &Arc<dyn StoreReader>, sql: &str) -> bool {
    let explained = SqlQuestion { sql: format!("EXPLAIN {sql}"), ..SqlQuestion::default() };
    let plan = engine.answer(&explained, reader, &Scope::default()).await;
    let plan = plan.map(|answer| answer.table.page()).unwrap_or_default();
    plan.contains("where=[") && !plan.contains("FilterExec")
}

/// The engine by itself over the rows of a store.
struct Oracle {
    context: SessionContext,
    known: Known,
}

impl Oracle {
    async fn of(reader: &Arc<dyn StoreReader>) -> Oracle {
        let (store, mut known) = (Arc::new(MemorySchemaProvider::new()), Known::default());
        for table in catalog::stored_tables() {
            let rows = Table { schema: table.scanned_schema(), batches: all_rows(reader, table).await };
            known.learn(table, &rows);
            let (schema, batches) = through_parquet(&rows);
            let rows = MemTable::try_new(schema, vec![batches]).unwrap_or_else(|error| panic!("{error}"));
            store.register_table(table.name.to_owned(), Arc::new(rows)).unwrap_or_else(|error| panic!("{error}"));
        }
        let reef = MemoryCatalogProvider::new();
        reef.register_schema(catalog::STORE, store).unwrap_or_else(|error| panic!("{error}"));
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(catalog::REEF.to_owned(), Arc::new(reef));
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(catalog::REEF, catalog::STORE)
            .with_create_default_catalog_and_schema(false);
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let builder = SessionStateBuilder::new().with_config(config).with_catalog_list(Arc::new(catalogs));
        let context = SessionContext::new_with_state(functions::registered(builder).build());
        Oracle { context, known }
    }

    async fn rows(&self, sql: &str) -> Result<Vec<String>, DataFusionError> {
        let frame = self.context.sql(sql).await?;
        let schema = Arc::clone(frame.schema().inner());
        Ok(in_order(&Table { schema, batches: frame.collect().await? }))
    }
}

async fn all_rows(reader: &Arc<dyn StoreReader>, table: &'static schema::Table) -> Vec<RecordBatch> {
    let columns = (0..table.columns.len()).collect();
    let scan = Scan { table, columns, conditions: Vec::new(), aggregates: Vec::new(), limit: None };
    let mut scanned = reader.scan(scan).await.unwrap_or_else(|error| panic!("{error}"));
    let mut batches = Vec::new();
    while let Some(batch) = scanned.next().await {
        batches.push(batch.unwrap_or_else(|error| panic!("{error}")));
    }
    batches
}

/// The rows as a Parquet file, read again.
fn through_parquet(rows: &Table) -> (SchemaRef, Vec<RecordBatch>) {
    let mut file = Vec::new();
    rows.write_parquet(&mut file).unwrap_or_else(|error| panic!("{error}"));
    let read = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap_or_else(|error| panic!("{error}"));
    let schema = Arc::clone(read.schema());
    let read = read.build().unwrap_or_else(|error| panic!("{error}"));
    (schema, read.map(|batch| batch.unwrap_or_else(|error| panic!("{error}"))).collect())
}
