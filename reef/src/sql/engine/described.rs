//! Described: what a statement would give and take, and what it may name.

use super::stream::Statement;
use super::{SqlEngine, limited};
use crate::guarded::Guarded;
use crate::sql::catalog::REEF;
use crate::sql::error::{SqlError, explained};
use crate::sql::guard;
use crate::sql::limits::Limits;
use crate::sql::live::COLONY;
use crate::sql::parameters::{bound, expected, numbered, unbound};
use crate::sql::reads::Counted;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use sinks::StoreReader;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What a statement gives and takes.
#[derive(Clone, Debug)]
pub struct Described {
    /// The columns of its rows, as they are streamed.
    pub columns: SchemaRef,
    /// Its parameters. Where any type would do it is text.
    pub parameters: SchemaRef,
}

/// A table that a statement may name.
#[derive(Clone, Debug)]
pub struct NamedTable {
    /// `reef` or `colony`.
    pub catalog: String,
    /// In `colony` the id of a colony.
    pub schema: String,
    /// Its own name.
    pub name: String,
    /// Its columns.
    pub columns: SchemaRef,
}

impl SqlEngine {
    /// What its statements may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What a statement gives and takes; it is planned, and reads nothing.
    ///
    /// # Errors
    /// When it does more than read, or has no turn.
    pub async fn describe(&self, statement: Statement, reader: &Arc<dyn StoreReader>) -> Result<Described, SqlError> {
        let turn = self.turn().await?;
        let (engine, reader) = (self.clone(), Arc::clone(reader));
        let mut planning = JoinSet::new();
        let run = async move {
            let _turn = turn;
            engine.described(&statement, &reader).await
        };
        planning.spawn_on(Guarded::new(run), &self.threads.handle());
        match timeout(self.limits.timeout, planning.join_next()).await {
            Ok(Some(Ok(described))) => described,
            Ok(Some(Err(error))) => Err(SqlError::panicked(&error)),
            Ok(None) => Err(SqlError::Busy),
            Err(_) => Err(self.late()),
        }
    }

    /// The catalogs that a statement may name.
    pub fn catalogs(&self) -> impl Iterator<Item = &'static str> {
        [Some(REEF), self.colonies.as_ref().map(|_| COLONY)].into_iter().flatten()
    }

    /// The tables that a statement may name.
    ///
    /// # Errors
    /// When one cannot be described.
    pub async fn tables(&self, reader: &Arc<dyn StoreReader>) -> Result<Vec<NamedTable>, SqlError> {
        let state = self.state(reader, &Counted::default());
        let (mut tables, catalogs) = (Vec::new(), self.catalogs().collect::<Vec<_>>());
        for catalog in catalogs {
            let Some(schemas) = state.catalog_list().catalog(catalog) else { continue };
            for schema in schemas.schema_names() {
                let Some(named) = schemas.schema(&schema) else { continue };
                for name in named.table_names() {
                    let table = named.table(&name).await.map_err(|error| explained(error, false))?;
                    let Some(columns) = table.map(|table| table.schema()) else { continue };
                    tables.push(NamedTable { catalog: catalog.to_owned(), schema: schema.clone(), name, columns });
                }
            }
        }
        Ok(tables)
    }

    async fn described(&self, statement: &Statement, reader: &Arc<dyn StoreReader>) -> Result<Described, SqlError> {
        let state = self.state(reader, &Counted::default());
        let plan = guard::planned(&state, &numbered(&statement.sql)?).await?;
        let types: Vec<DataType> = expected(&plan)?.into_iter().map(|it| it.unwrap_or(DataType::Utf8)).collect();
        let named =
            |(place, data_type): (usize, &DataType)| Field::new(format!("${}", place + 1), data_type.clone(), true);
        let parameters = Arc::new(Schema::new(types.iter().enumerate().map(named).collect::<Vec<_>>()));
        let is_open = statement.parameters.is_none() && !types.is_empty();
        let plan = match is_open {
            true => unbound(plan, &types)?,
            false => bound(plan, statement.parameters.as_ref())?,
        };
        let columns = self.columns(&state, plan, is_open).await?;
        Ok(Described { columns, parameters })
    }

    /// The columns of a plan, as they are streamed; where values are still to come, as far as they are known.
    async fn columns(&self, state: &SessionState, plan: LogicalPlan, is_open: bool) -> Result<SchemaRef, SqlError> {
        let plan = limited(plan, self.limits.rows_max)?;
        match state.create_physical_plan(&plan).await {
            Ok(physical) => Ok(physical.schema()),
            Err(_) if is_open => Ok(Arc::new(plan.schema().as_arrow().clone())),
            Err(error) => Err(explained(error, true)),
        }
    }
}
